//! `banger image export`

use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::path::Path;

use banger_api::Service;
use banger_api::image::{ExportImage, Format};
use banger_disk::Files;
use banger_disk::tar::{self, Holes};
use banger_operations::problem::of_disk;

use super::absolute;
use crate::args::{ExportFormat, ImageExport};
use crate::disk::Watching;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{json, print, say};
use crate::service;
use crate::text::Bytes;

/// Standard output, where a file is named.
const STDOUT: &str = "-";

pub(super) fn run(export: &ImageExport, service: &dyn Service) -> Result<(), Failure> {
    if export.output == Path::new(STDOUT) {
        return to_stdout(export, service);
    }
    let format = match export.format {
        None | Some(ExportFormat::Raw) => Format::Raw,
        Some(ExportFormat::Qcow2) => Format::Qcow2,
        Some(ExportFormat::Tar) => Format::Tar,
    };
    let output = absolute(&export.output)?;
    let request =
        ExportImage { image: export.image.clone(), format, output, force: export.force, sparse: export.sparse };
    let exported = service::follow(export.quiet, |observer| service.image_export(&request, observer))?;
    if export.json {
        return print(&json(&exported)?);
    }
    if !export.quiet {
        let (size, allocated) = (Bytes(exported.size), Bytes(exported.allocated));
        say(&format!("{}: {size}, {allocated} on disk", export.output.display()));
    }
    Ok(())
}

/// An archive through a pipe, which nobody but this process can write to.
fn to_stdout(export: &ImageExport, service: &dyn Service) -> Result<(), Failure> {
    if !matches!(export.format, None | Some(ExportFormat::Tar)) {
        return Err(Failure::new(Exit::Usage, "only --format tar can be written to standard output")
            .hint("the others are written with holes, for which a file is needed: -o FILE"));
    }
    if export.json {
        return Err(Failure::new(Exit::Usage, "--json and -o - would both write to standard output"));
    }
    let stdout = std::io::stdout();
    if stdout.is_terminal() {
        return Err(Failure::new(Exit::Usage, "an archive is nothing for a terminal").hint("-o FILE writes a file"));
    }
    let image = service.image_show(&export.image)?.image;
    // What has been opened can be read to its end, whoever removes the image meanwhile.
    let files = Files::open(&image.rootfs).map_err(|error| of_disk(&error))?;
    let mut out = BufWriter::new(stdout.lock());
    let holes = if export.sparse { Holes::LeftOut } else { Holes::Zeros };
    let mut is_closed = false;
    let written = service::follow(export.quiet, |observer| {
        tar::write(&files, &mut out, holes, &Watching(observer)).map_err(|error| {
            is_closed = has_closed(&error);
            of_disk(&error)
        })
    });
    match written {
        Err(_) if is_closed => Err(Failure::Closed),
        Err(failure) => Err(failure),
        Ok(()) => out.flush().map_err(Failure::stdout),
    }
}

/// Whether whoever read the archive has seen enough.
fn has_closed(error: &banger_disk::Error) -> bool {
    matches!(error, banger_disk::Error::Archive { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}
