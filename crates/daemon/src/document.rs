//! The OpenAPI document (version 3.1), and the schema of a line of `job.events` (JSON Schema 2020-12). Both are made of the
//! types that are sent and of the table that is served.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use crate::operations;
use crate::refusal::{JSON, PROBLEM};
use crate::table::{PREFIX, Row, Table};

const DESCRIPTION: &str = "What can be asked of bangerd, over HTTP/1.1 on its Unix socket. \
    Operations that take long answer with a job, whose events tell what happens.";

/// Where schemas stand in the document.
const COMPONENTS: &str = "#/components/schemas/";

/// The status of a body that is not JSON: only where there is one.
const NO_JSON: u16 = 415;

/// How operations fail: statuses, and what they mean.
const PROBLEMS: [(u16, &str); 13] = [
    (400, "The request makes no sense."),
    (403, "A registry wants to know who asks, or does not allow it."),
    (404, "Something that was named is not there."),
    (405, "The path is for another method."),
    (408, "The body did not come in time."),
    (409, "Something else stands in the way, or it was cancelled."),
    (413, "The body is too large."),
    (NO_JSON, "The body is not JSON."),
    (422, "Something is malformed, is not what its digest or signature says, or cannot be read here."),
    (500, "Something else went wrong."),
    (502, "The network, or the server at its other end, failed."),
    (503, "There are too many connections."),
    (507, "A disk is full, or the size asked for is too small."),
];

/// The OpenAPI document.
pub fn openapi() -> Value {
    of(&operations::table())
}

/// The schema of a line of `job.events`.
pub fn events() -> Value {
    let mut table = Table::new();
    table.schemas.clear();
    table.schema::<banger_api::job::Line>();
    let mut schemas = table.schemas;
    let line = schemas.remove("Line").unwrap_or_default();
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("A line of job.events"));
    if let Value::Object(members) = line {
        schema.extend(members);
    }
    schema.insert("$defs".to_owned(), json!(schemas));
    let mut schema = Value::Object(schema);
    each(&mut schema, &mut |object| {
        let target = object.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(COMPONENTS));
        if let Some(target) = target.map(|name| format!("#/$defs/{name}")) {
            object.insert("$ref".to_owned(), json!(target));
        }
        bound(object);
    });
    schema
}

/// A document as it is published: for people too, and indented by one space, as it is deep.
pub fn text(document: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b" "));
    // Nothing that is not text already, into memory.
    let _ = document.serialize(&mut serializer);
    String::from_utf8_lossy(&text).into_owned() + "\n"
}

pub(crate) fn of(table: &Table) -> Value {
    let paths: Map<String, Value> = table.rows.iter().map(|row| (format!("{PREFIX}{}", row.name), path(row))).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "bangerd",
            "description": DESCRIPTION,
            "version": banger_api::system::API_VERSION.to_string(),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://localhost" }],
        "paths": paths,
        "components": { "responses": problems(), "schemas": table.schemas },
    });
    each(&mut document, &mut bound);
    document
}

fn path(row: &Row) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(row.name));
    operation.insert("tags".to_owned(), json!([row.name.split('.').next()]));
    operation.insert("summary".to_owned(), json!(row.summary));
    if let Some((name, description, schema)) = &row.query {
        let parameter =
            json!({ "name": name, "in": "query", "required": true, "description": description, "schema": schema });
        operation.insert("parameters".to_owned(), json!([parameter]));
    }
    if let Some(schema) = &row.body {
        operation
            .insert("requestBody".to_owned(), json!({ "required": true, "content": { JSON: { "schema": schema } } }));
    }
    operation.insert("responses".to_owned(), responses(row));
    json!({ row.method.to_ascii_lowercase(): operation })
}

fn responses(row: &Row) -> Value {
    let mut responses = Map::new();
    // A line of a stream is no document of its own: OpenAPI 3.1 has no word for what a stream consists of.
    let content = if row.media_type == JSON { json!({ "schema": row.answer }) } else { stream(&row.answer) };
    let said = if row.status == 202 { "It has begun, or had: this is the job." } else { "It has been done." };
    responses.insert(row.status.to_string(), json!({ "description": said, "content": { row.media_type: content } }));
    let problems = PROBLEMS.iter().filter(|(status, _)| *status != NO_JSON || row.body.is_some());
    responses.extend(problems.map(|(status, _)| {
        (status.to_string(), json!({ "$ref": format!("#/components/responses/{}", problem_name(*status)) }))
    }));
    Value::Object(responses)
}

/// The answers of operations that fail, by the names that operations have for them.
fn problems() -> Value {
    let schema = json!({ "$ref": format!("{COMPONENTS}Problem") });
    let problem = |(status, description): &(u16, &str)| {
        let content = json!({ PROBLEM: { "schema": schema } });
        (problem_name(*status), json!({ "description": description, "content": content }))
    };
    Value::Object(PROBLEMS.iter().map(problem).collect())
}

fn problem_name(status: u16) -> String {
    format!("Problem{status}")
}

/// A stream, of which the schema of one line is told beside.
fn stream(line: &Value) -> Value {
    json!({ "schema": { "type": "string", "description": "Lines, each of which is what `x-line` says." }, "x-line": line })
}

/// Numbers are no larger than what holds them.
fn bound(object: &mut Map<String, Value>) {
    let is_integer = match object.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => names.iter().any(|name| name == "integer"),
        _ => false,
    };
    let is_unsigned = object.get("minimum").is_some();
    if is_integer && is_unsigned && !object.contains_key("maximum") {
        let narrow = object.get("format").is_some_and(|format| format == "int32");
        let maximum = if narrow { u64::from(u32::MAX) } else { u64::MAX };
        object.insert("maximum".to_owned(), json!(maximum));
    }
}

/// Goes through all objects.
fn each(value: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values_mut().for_each(|value| each(value, visit));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each(value, visit)),
        _ => {}
    }
}
