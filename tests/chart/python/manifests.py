"""Reads manifests on standard input as the API server of Kubernetes would, and validates them strictly: fields that it does not
know, and keys that are given twice, are problems. Prints {"objects": [...], "problems": [...]}.

Arguments: versions of Kubernetes whose schemas are asked, and files of custom resource definitions.
"""

import json
import re
import sys
from importlib import resources

import jsonschema
import yaml
from referencing import Registry, Resource


class Loader(yaml.CSafeLoader):
    """Refuses keys that are given twice."""


def mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"given twice: {twice}", node.start_mark)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


class Builtin:
    """The schemas of one version of Kubernetes."""

    def __init__(self, version):
        self.version = version
        self.schemas = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
        definitions = json.loads((self.schemas / "_definitions.json").read_text())
        self.registry = Resource.from_contents(definitions) @ Registry()

    def validator(self, thing):
        group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", thing["apiVersion"])
        file = self.schemas / f"{thing['kind'].lower()}-{group}.json"
        if not file.is_file():
            return None
        schema = json.loads(file.read_text())
        registry = Resource.from_contents(schema) @ self.registry
        return jsonschema.Draft202012Validator(schema, registry=registry)


class Custom:
    """The schemas of custom resource definitions."""

    def __init__(self, files):
        self.version = "its definition"
        self.schemas = {}
        for file in files:
            with open(file) as text:
                definitions = [thing for thing in yaml.load_all(text, yaml.CSafeLoader) if thing]
            for definition in definitions:
                spec = definition["spec"]
                for version in spec["versions"]:
                    if version["served"]:
                        key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                        self.schemas[key] = strict(version["schema"]["openAPIV3Schema"])

    def validator(self, thing):
        schema = self.schemas.get((thing["apiVersion"], thing["kind"]))
        return schema and jsonschema.Draft202012Validator(schema)


def strict(schema):
    """Takes fields that it does not name for wrong, as the API server does unless it is told to keep them."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource")
    made = {name: strict(value) for name, value in schema.items() if name not in ("properties", "default", "enum")}
    if "enum" in schema:
        made["enum"] = schema["enum"]
    if "properties" in schema:
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        # Alternatives name only the fields that they are about.
        if schema.get("type") == "object" and not kept:
            made.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


def problems_of(thing, sources):
    name = f"{thing['kind']} {thing['metadata']['name']}"
    known = False
    for source in sources:
        validator = source.validator(thing)
        if validator is None:
            continue
        known = True
        for error in validator.iter_errors(thing):
            path = ".".join(str(part) for part in error.absolute_path)
            yield f"{name}: by {source.version}: {path}: {error.message}"
    if not known:
        yield f"{name}: nothing to validate {thing['apiVersion']} {thing['kind']} by"


def main():
    versions = [argument for argument in sys.argv[1:] if re.fullmatch(r"\d+\.\d+", argument)]
    files = [argument for argument in sys.argv[1:] if argument not in versions]
    objects = [thing for thing in yaml.load_all(sys.stdin, Loader) if thing]
    sources = [*(Builtin(version) for version in versions), Custom(files)] if versions else []
    problems = [problem for thing in objects if sources for problem in problems_of(thing, sources)]
    json.dump({"objects": objects, "problems": problems}, sys.stdout)


main()
