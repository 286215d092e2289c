//! `banger tags`

use std::sync::Arc;

use banger_api::Observer;
use banger_operations::hints;
use banger_operations::progress::Telling;
use banger_registry::{Client, Tags};
use serde::Serialize;

use crate::args;
use crate::failure::Failure;
use crate::output::{json, print, say};
use crate::progress::{Shown, Task};
use crate::registry;
use crate::text::Line;

/// Prints the tags of a repository, in the registry's order.
pub(crate) fn run(tags: &args::Tags) -> Result<(), Failure> {
    let repository = hints::repository(&tags.repository)?;
    let settings = registry::settings(&tags.hosts)?;
    let who = registry::Who { creds: tags.creds.as_ref(), authfile: tags.authfile.as_deref() };
    let credentials = who.credentials(&[&repository])?;
    let progress = Arc::new(Shown::new(Task::Fetch, false));
    let observer: Arc<dyn Observer> = Arc::<Shown>::clone(&progress);
    let client = Client::new(settings, credentials, Arc::new(Telling::new(&observer)));
    let listed = client.and_then(|client| client.tags(&repository));
    progress.finish();
    let listed = listed.map_err(|error| hints::for_tags(&error, &repository, tags.creds.is_some()))?;
    let Tags { tags: names, is_complete } = listed;
    if !is_complete {
        say(&format!("warning: these are the first {} tags; the registry has more", names.len()));
    }
    if tags.json {
        return print(&json(&Answer {
            repository: repository.name(),
            tags: &names,
            complete: is_complete,
            from: progress.hosts(),
        })?);
    }
    names.iter().try_for_each(|name| print(&Line(name).to_string()))
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    repository: String,
    tags: &'a [String],
    /// Whether these are all.
    complete: bool,
    from: Vec<String>,
}
