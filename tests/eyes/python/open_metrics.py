"""Reads OpenMetrics on standard input with the parser of the Prometheus project; prints the names of the families as JSON."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = {family.name: family.type for family in text_string_to_metric_families(sys.stdin.read())}
print(json.dumps(families))
