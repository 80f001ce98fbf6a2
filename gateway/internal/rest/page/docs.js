// Shows the OpenAPI document of this server. It needs nothing from anywhere else.
"use strict";

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

const text = (content) => (content ? make("div", { className: "text", textContent: content }) : null);

function show(api) {
  const resolve = (node) => {
    while (node && node.$ref) {
      node = node.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
    }
    return node;
  };
  const nameOf = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : "");

  // The schema without null, and whether null may stand for it.
  const plain = (schema) => {
    if (schema.anyOf) {
      return { schema: schema.anyOf.find((one) => one.type !== "null"), nullable: true };
    }
    const nullable = Array.isArray(schema.type);
    return { schema, nullable };
  };

  const typeOf = (given) => {
    const { schema, nullable } = plain(given);
    const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
    let words = nameOf(schema) || type || "";
    if (schema.const !== undefined) words = JSON.stringify(schema.const);
    if (schema.enum) words = schema.enum.filter((word) => word !== null).join(" | ");
    else if (type === "array") words = `list of ${typeOf(schema.items)}`;
    else if (schema.format) words += `, ${schema.format}`;
    return nullable ? `${words} or null` : words;
  };

  // Objects open on demand, so a record within itself would do no harm.
  const inner = (given) => {
    let { schema } = plain(given);
    schema = resolve(schema);
    const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
    if (type === "array") return inner(schema.items);
    return schema.properties ? schema : null;
  };

  const fields = (schema) => {
    const list = make("ul", { className: "fields" });
    for (const [name, property] of Object.entries(schema.properties)) {
      const line = [make("code", { textContent: name }), " ", make("span", { className: "type", textContent: typeOf(property) })];
      const below = inner(property);
      const item = make("li");
      if (below) {
        const fold = make("details", {}, make("summary", {}, ...line));
        fold.addEventListener("toggle", () => fold.children.length === 1 && fold.append(fields(below)));
        item.append(fold);
      } else {
        item.append(...line);
      }
      const description = text(property.description);
      if (description) item.append(description);
      list.append(item);
    }
    return list;
  };

  const body = (schema) => {
    const below = inner(schema);
    return below ? fields(below) : make("span", { className: "type", textContent: typeOf(schema) });
  };

  const details = (operation) => {
    const out = make("div", {}, text(operation.description));
    if (operation.parameters) {
      const list = make("ul", { className: "fields" });
      for (const parameter of operation.parameters) {
        list.append(make("li", {}, make("code", { textContent: parameter.name }), " ",
          make("span", { className: "type", textContent: `${parameter.in}, ${typeOf(parameter.schema)}` }), text(parameter.description)));
      }
      out.append(make("h4", { textContent: "Parameters" }), list);
    }
    if (operation.requestBody) {
      out.append(make("h4", { textContent: "Body" }), body(operation.requestBody.content["application/json"].schema));
    }
    for (const [status, reference] of Object.entries(operation.responses)) {
      const response = resolve(reference);
      if (!status.startsWith("2")) continue;
      out.append(make("h4", { textContent: `Answer ${status}` }), text(response.description));
      for (const [media, { schema }] of Object.entries(response.content || {})) {
        out.append(make("div", { className: "type", textContent: media }), body(schema));
      }
    }
    const errors = Object.keys(operation.responses).filter((status) => /^[45]/.test(status));
    if (errors.length) out.append(make("h4", { textContent: "Errors" }), make("span", { textContent: errors.join(", ") }));
    return out;
  };

  document.title = api.info.title;
  document.getElementById("title").textContent = api.info.title;
  document.getElementById("about").append(...api.info.description.split("\n\n").map((part) => make("p", { textContent: part.replaceAll("`", "") })));
  const main = document.getElementById("operations");
  main.textContent = "";
  const shown = [];
  for (const tag of api.tags) {
    const section = make("section", {}, make("h2", { textContent: tag.name.replace(/Service$/, "").replace(/([a-z])([A-Z])/g, "$1 $2") }));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (!operation.tags.includes(tag.name)) continue;
        const fold = make("details", { className: "operation", id: operation.operationId }, make("summary", {},
          make("span", { className: `method ${method}`, textContent: method.toUpperCase() }), make("span", { className: "path", textContent: path }),
          make("span", { className: "summary", textContent: operation.summary })));
        fold.addEventListener("toggle", () => fold.children.length === 1 && fold.append(details(operation)));
        section.append(fold);
        shown.push([fold, section, `${method} ${path} ${JSON.stringify(operation)}`.toLowerCase()]);
      }
    }
    main.append(section);
  }
  document.getElementById("find").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const [fold, , words] of shown) fold.hidden = !words.includes(wanted);
    for (const [, section] of shown) section.hidden = !section.querySelector("details.operation:not([hidden])");
  });
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) {
    target.open = true;
    target.scrollIntoView();
  }
}

fetch("/api/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => {
    document.getElementById("operations").textContent = `The document could not be shown: ${error.message}`;
  });
