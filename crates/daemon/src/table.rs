//! The table of what can be asked: each row becomes a path of the server and a part of the OpenAPI document, so that neither
//! can say what the other does not.
//!
//! An operation that takes long, or may, is done by a thread of its own: the one that looks after connections never waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{MethodFilter, on};
use banger_api::job::{Job, Outcome};
use banger_api::{ErrorKind, Observer, Problem, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::jobs::{Jobs, Plan, Product};
use crate::refusal::{JSON, Refusal, answer};
use crate::request::{body, query};

/// What begins each path: the version of the API.
pub(crate) const PREFIX: &str = "/v1/";

/// Who does what is asked.
pub(crate) type Shared = Arc<dyn Service + Send + Sync>;

/// What all operations need.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) service: Shared,
    pub(crate) jobs: Arc<Jobs>,
    /// Whom to tell that the daemon is to end.
    pub(crate) stop: Arc<Notify>,
}

/// Does what a job is asked for.
type Run<R> = fn(&dyn Service, &R, &Arc<dyn Observer>) -> Result<Outcome, Problem>;

/// What can be asked.
pub(crate) struct Table {
    pub(crate) router: Router<App>,
    pub(crate) rows: Vec<Row>,
    pub(crate) schemas: BTreeMap<String, Value>,
}

/// One operation, as the document has it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) summary: &'static str,
    /// Name, description and schema.
    pub(crate) query: Option<(&'static str, &'static str, Value)>,
    /// Schema of the body.
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
    pub(crate) media_type: &'static str,
    pub(crate) answer: Value,
}

/// What a job is about, and what it makes.
pub(crate) struct About {
    pub(crate) subject: String,
    pub(crate) product: Option<Product>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let mut table = Self { router: Router::new(), rows: Vec::new(), schemas: BTreeMap::new() };
        // What any operation can answer.
        table.schema::<Problem>();
        table
    }

    /// An operation that only looks: `GET`, without anything said.
    pub(crate) fn look<A>(&mut self, name: &'static str, summary: &'static str, run: fn(&App) -> Result<A, Problem>)
    where
        A: Answer,
    {
        let handler = move |State(app): State<App>| async move { finish(work(move || run(&app)).await) };
        let answer = A::describe(self);
        self.row(name, "GET", summary, None, None, (StatusCode::OK, JSON, answer));
        self.route(name, on(MethodFilter::GET, handler));
    }

    /// An operation that only looks, at something that the query names.
    pub(crate) fn look_at<Q, A>(
        &mut self,
        name: &'static str,
        summary: &'static str,
        parameter: (&'static str, &'static str, Value),
        run: fn(&App, Q) -> Result<A, Problem>,
    ) where
        Q: DeserializeOwned + Send + 'static,
        A: Answer,
    {
        let handler = move |State(app): State<App>, request: Request<Body>| async move {
            let asked = match query::<Q>(request.uri()) {
                Ok(asked) => asked,
                Err(refusal) => return refusal.answer(),
            };
            finish(work(move || run(&app, asked)).await)
        };
        let answer = A::describe(self);
        self.row(name, "GET", summary, Some(parameter), None, (StatusCode::OK, JSON, answer));
        self.route(name, on(MethodFilter::GET, handler));
    }

    /// An operation that changes something, and is done when it answers: `POST`.
    pub(crate) fn change<R, A>(
        &mut self,
        name: &'static str,
        summary: &'static str,
        run: fn(&App, R) -> Result<A, Problem>,
    ) where
        R: DeserializeOwned + Serialize + ToSchema + Send + 'static,
        A: Answer,
    {
        let handler = move |State(app): State<App>, request: Request<Body>| async move {
            match body::<R>(request).await {
                Ok(asked) => finish(work(move || run(&app, asked)).await),
                Err(refusal) => refusal.answer(),
            }
        };
        let (asked, answer) = (self.schema::<R>(), A::describe(self));
        self.row(name, "POST", summary, None, Some(asked), (StatusCode::OK, JSON, answer));
        self.route(name, on(MethodFilter::POST, handler));
    }

    /// An operation that becomes a job: `POST`, answered when it has begun.
    pub(crate) fn job<R>(
        &mut self,
        name: &'static str,
        summary: &'static str,
        about: fn(&dyn Service, &R) -> About,
        run: Run<R>,
    ) where
        R: DeserializeOwned + Serialize + ToSchema + Send + Sync + 'static,
    {
        let begin = move |app: App, request: R| {
            let About { subject, product } = about(app.service.as_ref(), &request);
            let said = serde_json::to_value(&request).map_err(|error| Problem::of(ErrorKind::Usage, &error))?;
            let plan = Plan { operation: name, subject, product, request: without_secrets(said) };
            let service = Arc::clone(&app.service);
            app.jobs.submit(plan, Box::new(move |observer| run(service.as_ref(), &request, observer)))
        };
        let handler = move |State(app): State<App>, request: Request<Body>| async move {
            match body::<R>(request).await {
                Ok(asked) => match work(move || begin(app, asked)).await {
                    Ok(job) => answer(StatusCode::ACCEPTED, JSON, &job),
                    Err(problem) => Refusal::from(problem).answer(),
                },
                Err(refusal) => refusal.answer(),
            }
        };
        let (asked, job) = (self.schema::<R>(), self.schema::<Job>());
        self.row(name, "POST", summary, None, Some(asked), (StatusCode::ACCEPTED, JSON, job));
        self.route(name, on(MethodFilter::POST, handler));
    }

    pub(crate) fn route(&mut self, name: &str, handler: axum::routing::MethodRouter<App>) {
        let router = std::mem::take(&mut self.router);
        self.router = router.route(&format!("{PREFIX}{name}"), handler);
    }

    pub(crate) fn row(
        &mut self,
        name: &'static str,
        method: &'static str,
        summary: &'static str,
        query: Option<(&'static str, &'static str, Value)>,
        body: Option<Value>,
        (status, media_type, answer): (StatusCode, &'static str, Value),
    ) {
        self.rows.push(Row { name, method, summary, query, body, status: status.as_u16(), media_type, answer });
    }

    /// Takes a type into the document, with all that it consists of. A reference to it.
    pub(crate) fn schema<T: ToSchema>(&mut self) -> Value {
        let mut found: Vec<(String, RefOr<Schema>)> = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            // Schemas are made of strings and numbers.
            self.schemas.entry(name).or_insert_with(|| serde_json::to_value(schema).unwrap_or_default());
        }
        json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
    }
}

/// What an operation can answer: a type of the API, or a list of them.
pub(crate) trait Answer: Serialize + Send + 'static {
    /// Its schema, where what it refers to is in the table.
    fn describe(table: &mut Table) -> Value;
}

/// A type of the API.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct One<T>(pub(crate) T);

/// A list, in the order that the operation says.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: ToSchema + Serialize + Send + 'static> Answer for One<T> {
    fn describe(table: &mut Table) -> Value {
        table.schema::<T>()
    }
}

impl<T: ToSchema + Serialize + Send + 'static> Answer for List<T> {
    fn describe(table: &mut Table) -> Value {
        json!({ "type": "array", "items": table.schema::<T>() })
    }
}

/// Does something on a thread that may wait.
async fn work<A: Send + 'static>(run: impl FnOnce() -> Result<A, Problem> + Send + 'static) -> Result<A, Problem> {
    let bug = |_| Err(Problem::new(ErrorKind::Other, "the operation has met with a bug of banger's, and was given up"));
    tokio::task::spawn_blocking(run).await.unwrap_or_else(bug)
}

fn finish<A: Serialize>(result: Result<A, Problem>) -> Response<Body> {
    match result {
        Ok(value) => answer(StatusCode::OK, JSON, &value),
        Err(problem) => Refusal::from(problem).answer(),
    }
}

/// A request, by which it is known again. Who asks is no part of what is asked.
fn without_secrets(mut request: Value) -> Value {
    if let Some(Value::Object(access)) = request.get_mut("registry") {
        access.remove("credentials");
        access.remove("lapses");
    }
    request
}
