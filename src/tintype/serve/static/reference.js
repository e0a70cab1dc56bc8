// Makes the document of the interface readable.

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Text whose `parts` are set as code. */
function words(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", part) : part));
}

function table(rows) {
  const made = element("table");
  for (const row of rows) {
    const line = made.insertRow();
    for (const cell of row) line.insertCell().append(...words(cell));
  }
  return made;
}

/** What a value may be, in words. */
function kind(schema) {
  const one = (schema.anyOf || [schema]).find((option) => option.type !== "null");
  const bounds = one.minimum !== undefined ? `${one.minimum} … ${one.maximum}` : one.type;
  const values = one.enum ? one.enum.join(", ") : one.const || bounds;
  return schema.default === undefined || schema.default === null ? values : `${values}; ${schema.default} if left out`;
}

function section(title, content) {
  return content ? [element("h3", title), content] : [];
}

function operation(path, method, told) {
  const article = element("article");
  const head = element("h2", "");
  head.append(element("span", method.toUpperCase(), "method"), path);
  const parameters = (told.parameters || []).map(({ name, schema, description }) => [name, kind(schema), description || ""]);
  const bodies = Object.entries(told.requestBody?.content || {}).map(([type, { schema }]) =>
    [type, schema.properties ? `parts: ${Object.keys(schema.properties).join(", ")}` : "the picture's bytes"]);
  const answers = Object.entries(told.responses).map(([status, { description, content }]) =>
    [status, description, status === "200" ? Object.keys(content || {}).join(", ") : ""]);
  article.append(head, element("p", told.description || told.summary),
    ...section("Query", parameters.length && table(parameters)),
    ...section("Body", bodies.length && table(bodies)),
    ...section("Answers", table(answers)));
  if (method === "post") article.append(...section("For example", element("pre", example(path))));
  return article;
}

function example(path) {
  const target = path.endsWith("/ab") ? "ab.npy" : "out.jpg";
  return `curl --data-binary @in.jpg ${location.origin}${path} -o ${target}\n`
    + `curl -F picture=@in.jpg -F hints=@hints.json ${location.origin}${path} -o ${target}`;
}

const reference = document.getElementById("reference");
try {
  const told = await (await fetch("/openapi.json")).json();
  const all = Object.entries(told.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operationTold]) => operation(path, method, operationTold)));
  reference.replaceChildren(element("p", `${told.info.title} ${told.info.version}. ${told.info.description}`), ...all);
} catch {
  reference.replaceChildren(element("p", "The document cannot be had: is Tintype still running?"));
}
