//! All that can be asked, by name. `GET` looks, `POST` changes; what takes long becomes a job.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, Response, StatusCode, Uri};
use axum::middleware;
use axum::routing::{MethodFilter, on};
use banger_api::catalog::{MakeBundle, Offers};
use banger_api::image::{
    ExportImage, ImageDetails, PromoteImage, PullImage, PushImage, RegisterImage, RemoveImage, RenameImage,
};
use banger_api::job::{CancelJob, Line, Outcome};
use banger_api::kernel::{ExportKernel, ImportKernel, PullKernel, RemoveKernel};
use banger_api::system::{Info, PruneRequest, StopDaemon};
use banger_api::{Event, Observer, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::document;
use crate::jobs::{self, Product};
use crate::refusal::{JSON, Refusal};
use crate::request::{query, whole};
use crate::table::{About, App, List, One, Table};

/// The media type of lines of JSON.
pub(crate) const LINES: &str = "application/jsonl";

/// `image.show`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    image: String,
}

/// `job.show`, `job.events`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbered {
    id: u64,
}

/// The table of all operations.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    images(&mut table);
    kernels(&mut table);
    system(&mut table);
    jobs(&mut table);
    table
}

/// The server's paths.
pub(crate) fn router() -> Router<App> {
    let table = table();
    let document = document::of(&table).to_string();
    let handler = move || async move {
        let mut response = Response::new(Body::from(document));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        response
    };
    let mut table = table;
    table.route("openapi.json", on(MethodFilter::GET, handler));
    let router = table.router.fallback(unknown).method_not_allowed_fallback(wrong_method);
    router.layer(middleware::from_fn(whole))
}

fn images(table: &mut Table) {
    table.look("image.list", "Lists the images, by name.", |app| app.service.image_list().map(List));
    let parameter = ("image", "The name of an image, or the beginning of an id.", text());
    table.look_at("image.show", "Shows all that is known of an image.", parameter, |app, asked: Shown| {
        app.service.image_show(&asked.image).map(One::<ImageDetails>)
    });
    table.job(
        "image.pull",
        "Makes an image of a name in a catalog, a reference or a source. The outcome is an `image`.",
        |service, request: &PullImage| {
            let name = service.image_name(request);
            let source = || Product::Source(request.source.clone());
            let product = name.clone().map_or_else(source, Product::Image);
            About { subject: name.unwrap_or_else(|| request.source.clone()), product: Some(product) }
        },
        |service, request, observer| service.image_pull(request, observer).map(|image| Outcome::Image(image.into())),
    );
    table.change(
        "image.register",
        "Gives a name to an image whose files are elsewhere, and stay there.",
        |app, request: RegisterImage| app.service.image_register(&request).map(One),
    );
    table.change(
        "image.remove",
        "Removes a name, and the files when it was their last one.",
        |app, request: RemoveImage| app.service.image_remove(&request).map(One),
    );
    table.change("image.rename", "Gives an image another name.", |app, request: RenameImage| {
        app.service.image_rename(&request).map(One)
    });
    table.job(
        "image.promote",
        "Takes the files of a registered image into the store. The outcome is an `image`.",
        |_, request: &PromoteImage| About {
            subject: request.image.clone(),
            product: Some(Product::Image(request.image.clone())),
        },
        |service, request, observer| service.image_promote(request, observer).map(|image| Outcome::Image(image.into())),
    );
    table.job(
        "image.export",
        "Writes an image's root file system into a file. The outcome is an `exported`.",
        |_, request: &ExportImage| About {
            subject: request.image.clone(),
            product: Some(Product::File(request.output.clone())),
        },
        |service, request, observer| service.image_export(request, observer).map(Outcome::Exported),
    );
    table.job(
        "image.push",
        "Puts an image into a registry. The outcome is a `pushed`.",
        |_, request: &PushImage| About { subject: request.image.clone(), product: None },
        |service, request, observer| service.image_push(request, observer).map(Outcome::Pushed),
    );
    table.job(
        "bundle.make",
        "Writes an image into a file that a catalog can offer. The outcome is an `archive`.",
        |_, request: &MakeBundle| About { subject: request.image.clone(), product: None },
        |service, request, observer| service.bundle_make(request, observer).map(Outcome::Archive),
    );
}

fn kernels(table: &mut Table) {
    table.look("kernel.list", "Lists the kernels that are kept here, by name.", |app| {
        app.service.kernel_list().map(List)
    });
    table.job(
        "kernel.pull",
        "Fetches a kernel from a catalog, or Debian's by apt. The outcome is a `kernel`.",
        |_, request: &PullKernel| {
            let name = request.rename.as_ref().unwrap_or(&request.name);
            About { subject: name.clone(), product: Some(Product::Kernel(name.clone())) }
        },
        |service, request, observer| {
            service.kernel_pull(request, observer).map(|kernel| Outcome::Kernel(kernel.into()))
        },
    );
    table.job(
        "kernel.import",
        "Takes a kernel from files of this machine. The outcome is a `kernel`.",
        |_, request: &ImportKernel| About {
            subject: request.name.clone().unwrap_or_else(|| request.from.display().to_string()),
            product: request.name.clone().map(Product::Kernel),
        },
        |service, request, observer| {
            service.kernel_import(request, observer).map(|kernel| Outcome::Kernel(kernel.into()))
        },
    );
    table.job(
        "kernel.export",
        "Writes a kernel into a file that a catalog can offer. The outcome is an `archive`.",
        |_, request: &ExportKernel| About { subject: request.name.clone(), product: None },
        |service, request, observer| service.kernel_export(request, observer).map(Outcome::Archive),
    );
    table.change(
        "kernel.remove",
        "Removes a kernel. Images that were made with it keep theirs.",
        |app, request: RemoveKernel| app.service.kernel_remove(&request).map(One),
    );
}

fn system(table: &mut Table) {
    table.look(
        "catalog.list",
        "Lists what all catalogs offer, in the order in which they are looked through.",
        |app| {
            let warnings = Arc::new(Warnings::default());
            let observer: Arc<dyn Observer> = Arc::clone(&warnings) as _;
            let offers = app.service.catalog_list(&observer)?;
            let warnings = std::mem::take(&mut *warnings.0.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(One(Offers { offers, warnings }))
        },
    );
    table.look("system.info", "Says who answers, and with what.", |app| info(app).map(One));
    table.look("system.df", "Says what takes up how much.", |app| app.service.system_df().map(One));
    table.change("system.prune", "Removes what nothing needs.", |app, request: PruneRequest| {
        app.service.system_prune(&request).map(One)
    });
    table.change("system.stop", "Ends the daemon. It answers first.", |app, request: StopDaemon| {
        let info = info(app)?;
        if !request.force {
            app.jobs.stop_if_idle()?;
        }
        app.stop.notify_one();
        Ok(One(info))
    });
}

fn info(app: &App) -> Result<Info, Problem> {
    let mut info = app.service.system_info()?;
    info.pid = Some(std::process::id());
    info.jobs = u64::try_from(*app.jobs.active().borrow()).unwrap_or(u64::MAX);
    Ok(info)
}

fn jobs(table: &mut Table) {
    table.look(
        "job.list",
        "Lists the jobs, the oldest first: all that have not ended, and the last that have.",
        |app| Ok(List(app.jobs.list())),
    );
    table.look_at("job.show", "Shows a job.", number(), |app, asked: Numbered| app.jobs.show(asked.id).map(One));
    table.change("job.cancel", "Has a job end early.", |app, request: CancelJob| {
        app.jobs.cancel(request.id, request.if_alone).map(One)
    });
    let line = table.schema::<Line>();
    let summary = "Tells what happens in a job, from its beginning to its end: one object of JSON a line.";
    table.row("job.events", "GET", summary, Some(number()), None, (StatusCode::OK, LINES, line));
    table.route("job.events", on(MethodFilter::GET, events));
}

async fn events(State(app): State<App>, request: Request<Body>) -> Response<Body> {
    let asked: Numbered = match query(request.uri()) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.answer(),
    };
    match jobs::events(&app.jobs, asked.id) {
        Ok(body) => {
            let mut response = Response::new(body);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(LINES));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(problem) => Refusal::from(problem).answer(),
    }
}

async fn unknown(uri: Uri) -> Response<Body> {
    let refusal = Refusal::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path()));
    refusal.hint("/v1/openapi.json says what there is").answer()
}

async fn wrong_method(request: Request<Body>) -> Response<Body> {
    let message = format!("{} is not for {}", request.method(), request.uri().path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message).answer()
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> (&'static str, &'static str, Value) {
    ("id", "The job's number.", json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u64::MAX }))
}

/// Keeps warnings for the answer.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn event(&self, event: Event) {
        if let Event::Warning { message } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
    }
}
