//! Spans as the collector writes them: the JSON form of OTLP.

use std::collections::BTreeMap;

use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace_id: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    /// Numbers as text, too.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) is_error: bool,
    /// Attributes of the process it comes from.
    pub(crate) resource: BTreeMap<String, String>,
}

impl Span {
    /// All spans of one message.
    pub(crate) fn all_in(message: &Value) -> Vec<Self> {
        let mut spans = Vec::new();
        for source in list(&message["resourceSpans"]) {
            let resource = attributes(&source["resource"]);
            for span in list(&source["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
                let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
                spans.push(Self {
                    trace_id: text("traceId"),
                    id: text("spanId"),
                    parent: text("parentSpanId"),
                    name: text("name"),
                    attributes: attributes(span),
                    is_error: span["status"]["code"] == 2,
                    resource: resource.clone(),
                });
            }
        }
        spans
    }

    /// An attribute; empty if it is not there.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn attributes(holder: &Value) -> BTreeMap<String, String> {
    let pair = |pair: &Value| {
        let value = pair["value"].as_object()?.values().next()?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((pair["key"].as_str()?.to_owned(), text))
    };
    list(&holder["attributes"]).iter().filter_map(pair).collect()
}
