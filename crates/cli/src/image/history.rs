//! `banger image history`

use banger_api::Service;
use banger_api::image::History;

use crate::args::ImageHistory;
use crate::failure::Failure;
use crate::output::{print_each, say};
use crate::table::Table;
use crate::text::{Bytes, Line, Moment};

pub(super) fn run(history: &ImageHistory, service: &dyn Service) -> Result<(), Failure> {
    let mut steps = service.image_show(&history.image)?.history;
    steps.reverse();
    if history.json {
        return print_each(&steps);
    }
    if steps.is_empty() {
        say(&format!("{} does not tell how it was made", history.image));
        return Ok(());
    }
    table(&steps).print(history.no_trunc)
}

fn table(steps: &[History]) -> Table<4> {
    let mut table = Table::new(["created", ">size", ">unpacked", "created by"]);
    for step in steps {
        let shown = |size: Option<u64>| match (&step.diff_id, size) {
            (_, Some(size)) => Bytes(size).to_string(),
            (None, None) => Bytes(0).to_string(),
            (Some(_), None) => "-".to_owned(),
        };
        table.row([
            step.created.as_deref().map_or_else(|| "-".to_owned(), |created| Moment(created).to_string()),
            shown(step.size),
            shown(step.unpacked),
            Line(&words(step)).to_string(),
        ]);
    }
    table
}

/// What a step was: its command, without what docker puts before it; and its comment.
fn words(step: &History) -> String {
    let command = step.created_by.as_deref().unwrap_or_default();
    let command = command.strip_prefix("/bin/sh -c #(nop) ").unwrap_or(command).trim();
    match (command, step.comment.as_deref().unwrap_or_default()) {
        (command, "") => command.to_owned(),
        ("", comment) => comment.to_owned(),
        (command, comment) => format!("{command} ({comment})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_by_its_command() {
        let step =
            |created_by: Option<&str>, comment: Option<&str>, diff_id: Option<&str>, size: Option<u64>| History {
                created: created_by.map(|_| "2026-11-21T10:00:00Z".to_owned()),
                created_by: created_by.map(str::to_owned),
                comment: comment.map(str::to_owned),
                diff_id: diff_id.map(str::to_owned),
                size,
                unpacked: size.map(|size| size * 3),
            };
        let steps = [
            step(Some("/bin/sh -c #(nop)  CMD [\"bash\"]"), None, None, None),
            step(Some("RUN make\ninstall"), Some("buildkit"), Some("sha256:1"), Some(2048)),
            step(None, Some("imported"), Some("sha256:2"), None),
            step(None, None, None, None),
        ];
        assert_eq!(
            table(&steps).to_string(),
            "created              size  unpacked  created by\n\
             2026-11-21 10:00      0 B       0 B  CMD [\"bash\"]\n\
             2026-11-21 10:00  2.0 KiB   6.0 KiB  RUN make\\ninstall (buildkit)\n\
             -                       -         -  imported\n\
             -                     0 B       0 B\n"
        );
    }
}
