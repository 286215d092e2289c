//! `banger image diff`

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use banger_api::Service;
use banger_disk::Files;
use banger_disk::diff::{Aspect, Change, Difference, Options, diff};
use banger_operations::problem::of_disk;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::args::ImageDiff;
use crate::disk::Watching;
use crate::failure::Failure;
use crate::output::json;
use crate::service;
use crate::text::Name;

/// What is said of two images that differ, with `--exit-code`: as diff(1) has it.
const DIFFERENT: u8 = 1;

pub(super) fn run(options: &ImageDiff, service: &dyn Service) -> Result<ExitCode, Failure> {
    let files = |image: &str| -> Result<Files, Failure> {
        let image = service.image_show(image)?.image;
        Ok(Files::open(&image.rootfs).map_err(|error| of_disk(&error))?)
    };
    let (before, after) = (files(&options.first)?, files(&options.second)?);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let (mut count, mut written) = (0u64, Ok(()));
    service::follow(true, |observer| {
        let mut found = |difference: Difference| {
            count = count.saturating_add(1);
            if written.is_ok() {
                written =
                    line(&difference, options.json).and_then(|line| writeln!(out, "{line}").map_err(Failure::stdout));
            }
        };
        let what = Options { times: options.times };
        diff(&before, &after, what, &Watching(observer), &mut found).map_err(|error| of_disk(&error))
    })?;
    written?;
    out.flush().map_err(Failure::stdout)?;
    Ok(if options.exit_code && count > 0 { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

/// One line of `banger image diff --json`.
#[derive(Debug, Serialize)]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    change: Change,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    what: &'a [Aspect],
}

fn line(difference: &Difference, as_json: bool) -> Result<String, Failure> {
    let Difference { path, change, what, .. } = difference;
    // As the guest sees it: from the root.
    let path = [b"/", path.as_slice()].concat();
    if as_json {
        let text = std::str::from_utf8(&path).ok();
        let path_b64 = text.is_none().then(|| STANDARD.encode(&path));
        return json(&Record { path: text, path_b64, change: *change, what });
    }
    Ok(match change {
        Change::Added => format!("A {}", Name(&path)),
        Change::Removed => format!("D {}", Name(&path)),
        Change::Changed => {
            let what: Vec<_> = what.iter().copied().map(name).collect();
            format!("C {} ({})", Name(&path), what.join(", "))
        }
    })
}

fn name(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Kind => "kind",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Size => "size",
        Aspect::Content => "content",
        Aspect::Target => "target",
        Aspect::Device => "device",
        Aspect::Links => "links",
        Aspect::Attributes => "attributes",
        Aspect::Time => "time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_has_become_of_a_path() {
        let difference = |path: &[u8], change, what: &[Aspect]| Difference {
            path: path.to_owned(),
            change,
            what: what.to_owned(),
            before: None,
            after: None,
        };
        for (difference, text, record) in [
            (difference(b"etc/new", Change::Added, &[]), "A /etc/new", r#"{"path":"/etc/new","change":"added"}"#),
            (difference(b"a\nb", Change::Removed, &[]), "D /a\\nb", r#"{"path":"/a\nb","change":"removed"}"#),
            (
                difference(b"", Change::Changed, &[Aspect::Mode, Aspect::Content]),
                "C / (mode, content)",
                r#"{"path":"/","change":"changed","what":["mode","content"]}"#,
            ),
            (difference(b"\xff", Change::Added, &[]), "A /\\xff", r#"{"path_b64":"L/8=","change":"added"}"#),
        ] {
            assert_eq!(line(&difference, false).unwrap(), text);
            assert_eq!(line(&difference, true).unwrap(), record);
        }
    }
}
