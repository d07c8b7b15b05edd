"use strict";
// Everything from the description is set as text, never as markup.

const make = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};
const byId = (id) => document.getElementById(id);
const nameOf = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : null);

const typeOf = (schema) => {
  if (schema.$ref) return link(nameOf(schema));
  if (schema.type === "array") return make("span", "list of ", typeOf(schema.items || {}));
  return make("code", schema.format || schema.type || "any");
};
const link = (name) => {
  const anchor = make("a", name);
  anchor.href = `#schema-${name}`;
  return anchor;
};
const rows = (entries) =>
  make("table", "", ...entries.map(([name, schema, about]) =>
    make("tr", "", make("td", "", make("code", name)), make("td", "", typeOf(schema)), make("td", about || ""))));

// A request to begin with: every field, empty.
const example = (api, schema, depth = 0) => {
  const known = schema.$ref ? api.components.schemas[nameOf(schema)] : schema;
  if (known.enum) return known.enum[0];
  if (known.type === "array") return [];
  if (known.type === "boolean") return false;
  if (known.type === "integer" || known.type === "number") return 0;
  if (known.type !== "object") return (known.examples && known.examples[0]) || "";
  if (depth > 1) return {};
  return Object.fromEntries(
    Object.entries(known.properties || {}).map(([name, inner]) => [name, example(api, inner, depth + 1)]));
};

const authorization = () => {
  const [id, secret, token] = ["client-id", "client-secret", "client-token"].map((name) => byId(name).value.trim());
  if (token) return `Bearer ${token}`;
  return id ? `Basic ${btoa(`${id}:${secret}`)}` : null;
};

const send = async (method, path, inputs, body, output) => {
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.append(parameter.name, input.value);
  }
  const headers = {};
  if (authorization()) headers.authorization = authorization();
  if (body) headers["content-type"] = "application/json";
  output.textContent = "…";
  try {
    const answer = await fetch(path + (query.size ? `?${query}` : ""), {
      method, headers, body: body ? body.value : undefined, credentials: "omit",
    });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* Shown as it is. */ }
    output.textContent = `${answer.status} (${answer.headers.get("x-request-id")})\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
};

const tryIt = (api, method, path, call) => {
  const form = make("form");
  const parameters = call.parameters.filter((parameter) => parameter.name);
  const inputs = parameters.map((parameter) => {
    const input = make("input");
    form.append(make("label", `${parameter.name} `, input));
    return [parameter, input];
  });
  let body = null;
  if (call.requestBody) {
    body = make("textarea");
    body.value = JSON.stringify(example(api, call.requestBody.content["application/json"].schema), null, 2);
    body.spellcheck = false;
    form.append(body);
  }
  const output = make("pre");
  form.append(make("button", "Send"), output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method.toUpperCase(), path, inputs, body, output);
  });
  return form;
};

const describe = (api, method, path, call) => {
  const head = make("summary", "", make("b", method.toUpperCase()), make("code", path), make("span", call.summary));
  const details = make("details", "", head);
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    details.append(make("p", call.description));
    const parameters = call.parameters.filter((parameter) => parameter.name);
    if (parameters.length) details.append(rows(parameters.map((it) => [it.name, it.schema, it.description])));
    if (call.requestBody) {
      details.append(make("p", "Takes ", link(nameOf(call.requestBody.content["application/json"].schema))));
    }
    for (const [status, answer] of Object.entries(call.responses)) {
      const schema = answer.content["application/json"].schema;
      details.append(make("p", "", make("b", `${status} `), link(nameOf(schema)), make("span", `\n${answer.description}`)));
    }
    details.append(tryIt(api, method, path, call));
  });
  return details;
};

const show = (api) => {
  const calls = byId("calls");
  calls.replaceChildren(make("p", api.info.description));
  for (const tag of api.tags) {
    calls.append(make("h2", tag.name), make("p", tag.description));
    for (const [path, operations] of Object.entries(api.paths)) {
      for (const [method, call] of Object.entries(operations)) {
        if (call.tags.includes(tag.name)) calls.append(describe(api, method, path, call));
      }
    }
  }
  byId("schemas").append(make("h2", "Messages"));
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    const details = make("details", "", make("summary", "", make("code", name)), make("p", schema.description));
    details.id = `schema-${name}`;
    const fields = Object.entries(schema.properties || {});
    if (fields.length) details.append(rows(fields.map(([field, inner]) => [field, inner, inner.description])));
    byId("schemas").append(details);
  }
};

const follow = () => {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (target) target.open = true;
};
addEventListener("hashchange", follow);
byId("credentials").addEventListener("submit", (event) => event.preventDefault());

fetch("/api/v1/openapi.json", { credentials: "omit" })
  .then((answer) => answer.json())
  .then(show)
  .then(follow)
  .catch((error) => byId("calls").replaceChildren(make("p", `The description cannot be read: ${error}`)));
