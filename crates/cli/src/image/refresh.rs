//! `banger pull --all --replace`: every image is pulled again from where it came, with the options that it came with.

use std::ffi::OsStr;
use std::fmt;
use std::process::ExitCode;

use banger_api::Service;
use banger_api::image::{Image, PullImage};
use banger_oci::{Location, Source};
use serde::Serialize;

use super::pull::Wanted;
use super::short;
use crate::access;
use crate::args::PullArgs;
use crate::failure::Failure;
use crate::output::{json, print, say};
use crate::service;
use crate::text::{Line, counted};

/// What became of an image.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// Its name stands for another image now.
    Changed { id: String, replaced: String },
    /// Its name stands for what it stood for.
    UpToDate { id: String },
    /// There is no place to pull it from.
    PassedOver { reason: String },
    /// That failed.
    Failed { reason: String },
}

/// An image and what became of it.
#[derive(Debug, Serialize)]
struct Refreshed<'a> {
    name: &'a str,
    source: &'a str,
    #[serde(flatten)]
    outcome: Outcome,
}

impl fmt::Display for Refreshed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, source) = (self.name, self.source);
        match &self.outcome {
            Outcome::Changed { id, replaced } => {
                write!(f, "{name}: changed, from {} to {}: {source}", short(replaced), short(id))
            }
            Outcome::UpToDate { .. } => write!(f, "{name}: up to date: {source}"),
            Outcome::PassedOver { reason } => write!(f, "{name}: passed over: {reason}"),
            Outcome::Failed { .. } => write!(f, "{name}: failed, and is as it was: {source}"),
        }
    }
}

/// Pulls every image again. The exit code is that of the first failure.
pub(super) fn all(pull: &PullArgs, service: &dyn Service) -> Result<ExitCode, Failure> {
    let images = service.image_list()?;
    // What has lost its name stands for nothing that could be pulled again.
    let named: Vec<&Image> = images.iter().filter(|image| image.name != image.id).collect();
    let mut outcomes = Vec::new();
    let mut code = None;
    for image in named {
        let outcome = match refresh(pull, image, service) {
            Ok(outcome) => outcome,
            Err(ended @ (Failure::Closed | Failure::Signalled(..))) => return Err(ended),
            Err(failure) => {
                let reason = failure.message().to_owned();
                code.get_or_insert(failure.report());
                Outcome::Failed { reason }
            }
        };
        let refreshed = Refreshed { name: &image.name, source: &image.source, outcome };
        match &refreshed.outcome {
            _ if pull.json => print(&json(&refreshed)?)?,
            Outcome::Changed { .. } if pull.quiet => print(&Line(&image.name).to_string())?,
            _ if pull.quiet => {}
            _ => say(&refreshed.to_string()),
        }
        outcomes.push(refreshed.outcome);
    }
    if !pull.quiet && !pull.json {
        say(&summary(&outcomes));
    }
    Ok(code.unwrap_or(ExitCode::SUCCESS))
}

fn refresh(pull: &PullArgs, image: &Image, service: &dyn Service) -> Result<Outcome, Failure> {
    let request = match again(service.image_show(&image.name)?.request) {
        Ok(request) => request,
        Err(reason) => {
            let reason = if image.managed { reason } else { "it is registered: its file is where it was made" };
            return Ok(Outcome::PassedOver { reason: reason.to_owned() });
        }
    };
    let wanted = Wanted::parse(OsStr::new(&request.source))?;
    let registry = access::requested(&pull.registry, wanted.reference.as_ref(), !wanted.is_name)?;
    let request = PullImage { name: Some(image.name.clone()), replace: true, registry, ..request };
    let pulled = service::follow(pull.quiet, |observer| service.image_pull(&request, observer))?;
    Ok(if pulled.id == image.id {
        Outcome::UpToDate { id: pulled.id }
    } else {
        Outcome::Changed { id: pulled.id, replaced: image.id.clone() }
    })
}

/// The request that an image came by, if that can be made again.
fn again(request: Option<PullImage>) -> Result<PullImage, &'static str> {
    let request =
        request.ok_or("how it was made is not known: `banger pull SOURCE --name NAME --replace` makes it again")?;
    match Location::parse(OsStr::new(&request.source)) {
        Ok(Location::Local(source)) if is_file(&source) => Err("it was made from a file or directory of this machine"),
        _ => Ok(request),
    }
}

fn is_file(source: &Source) -> bool {
    matches!(source, Source::Oci { .. } | Source::OciArchive { .. } | Source::DockerArchive { .. } | Source::Tar { .. })
}

/// What has changed, in one line.
fn summary(outcomes: &[Outcome]) -> String {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count() as u64;
    let changed = count(|outcome| matches!(outcome, Outcome::Changed { .. }));
    let up_to_date = count(|outcome| matches!(outcome, Outcome::UpToDate { .. }));
    let passed_over = count(|outcome| matches!(outcome, Outcome::PassedOver { .. }));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
    let mut line =
        format!("{}: {changed} changed, {up_to_date} up to date", counted(outcomes.len() as u64, "image", "images"));
    for (count, what) in [(passed_over, "passed over"), (failed, "failed")] {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    if changed > 0 {
        line.push_str("; `banger prune` removes the old ones");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_changed() {
        let changed = || Outcome::Changed { id: "b".repeat(64), replaced: "a".repeat(64) };
        let same = || Outcome::UpToDate { id: "a".repeat(64) };
        let failed = || Outcome::Failed { reason: "the network is down".to_owned() };
        let over = || Outcome::PassedOver { reason: "it is registered".to_owned() };
        for (outcomes, expected) in [
            (vec![], "0 images: 0 changed, 0 up to date"),
            (vec![same()], "1 image: 0 changed, 1 up to date"),
            (
                vec![same(), changed(), failed(), over(), same()],
                "5 images: 1 changed, 2 up to date, 1 passed over, 1 failed; `banger prune` removes the old ones",
            ),
        ] {
            assert_eq!(summary(&outcomes), expected);
        }
        let shown = |outcome| Refreshed { name: "web", source: "docker.io/library/web:latest", outcome };
        assert_eq!(
            shown(changed()).to_string(),
            "web: changed, from aaaaaaaaaaaa to bbbbbbbbbbbb: docker.io/library/web:latest"
        );
        assert_eq!(
            serde_json::to_value(shown(failed())).unwrap(),
            serde_json::json!({
                "name": "web", "source": "docker.io/library/web:latest",
                "outcome": "failed", "reason": "the network is down",
            })
        );
    }

    #[test]
    fn what_came_from_a_file_is_passed_over() {
        let from = |source: &str| again(Some(PullImage { source: source.to_owned(), ..PullImage::default() }));
        for (source, is_again) in [
            ("debian:bookworm", true),
            ("web", true),
            ("demo:", true),
            ("oci:/images", false),
            ("docker-archive:-", false),
            ("tar:/x.tar", false),
        ] {
            assert_eq!(from(source).is_ok(), is_again, "{source}");
        }
        assert!(again(None).is_err());
    }
}
