//! `banger catalog`, `banger bundle`: what can be had by name, and what is offered to others.

mod add;

use banger_api::Service;
use banger_api::catalog::{Archive, MakeBundle, Offer, What};

use crate::args::{ArchiveOutput, BundleCommand, CatalogCommand, CatalogLs, ServiceOptions};
use crate::failure::Failure;
use crate::image::absolute;
use crate::output::{json, print, print_list, say};
use crate::service;
use crate::table::Table;
use crate::text::{Bytes, Line};

pub(crate) fn run(command: &CatalogCommand, options: &ServiceOptions) -> Result<(), Failure> {
    match command {
        CatalogCommand::Ls(ls) => list(ls, &*service::open(options)?),
        CatalogCommand::Add(add) => add::run(add),
    }
}

fn list(ls: &CatalogLs, service: &dyn Service) -> Result<(), Failure> {
    let offers = service::follow(false, |observer| service.catalog_list(observer))?;
    print_list(&ls.output, &offers, |offer| &offer.name, table, "no catalog has anything")
}

fn table(offers: &[Offer]) -> Table<6> {
    let mut table = Table::new(["name", "what", "architecture", ">size", "catalog", "description"]);
    for offer in offers {
        table.row([
            Line(&offer.name).to_string(),
            match offer.what {
                What::Image => "image".to_owned(),
                What::Kernel => "kernel".to_owned(),
            },
            Line(&offer.arch).to_string(),
            size(offer),
            catalog(offer),
            Line(&offer.description).to_string(),
        ]);
    }
    table
}

/// Kernels that can be had.
pub(crate) fn kernels(offers: &[Offer]) -> Table<6> {
    let mut table = Table::new(["name", "version", "architecture", ">size", "here", "catalog"]);
    for offer in offers {
        table.row([
            Line(&offer.name).to_string(),
            Line(offer.version.as_deref().unwrap_or("-")).to_string(),
            Line(&offer.arch).to_string(),
            size(offer),
            if offer.here { "yes" } else { "no" }.to_owned(),
            catalog(offer),
        ]);
    }
    table
}

fn size(offer: &Offer) -> String {
    offer.size.map_or_else(|| "-".to_owned(), |size| Bytes(size).to_string())
}

fn catalog(offer: &Offer) -> String {
    let catalog = Line(&offer.catalog);
    if offer.signed { format!("{catalog} (signed)") } else { catalog.to_string() }
}

pub(crate) fn bundle(command: &BundleCommand, options: &ServiceOptions) -> Result<(), Failure> {
    let BundleCommand::Make(make) = command;
    let request = MakeBundle { image: make.image.clone(), directory: absolute(&make.output.directory)? };
    let service = service::open(options)?;
    let archive = service::follow(make.output.quiet, |observer| service.bundle_make(&request, observer))?;
    tell(&archive, &make.output)
}

/// A file that was written, and that a catalog can offer.
pub(crate) fn tell(archive: &Archive, output: &ArchiveOutput) -> Result<(), Failure> {
    if output.json {
        return print(&json(archive)?);
    }
    if output.quiet {
        return print(&Line(&archive.path.display().to_string()).to_string());
    }
    say(&format!("{}: {}", archive.path.display(), Bytes(archive.size)));
    say(&format!("sha256:{}", archive.sha256));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_can_be_had_say_from_whom() {
        let offer = |name: &str, signed, here| Offer {
            what: What::Kernel,
            name: name.to_owned(),
            distro: None,
            arch: "amd64".to_owned(),
            kernel_ref: None,
            version: Some("6.1.0".to_owned()),
            url: "https://a.example/x".to_owned(),
            size: Some(1 << 20),
            description: String::new(),
            catalog: "https://a.example/catalog.json".to_owned(),
            signed,
            here,
        };
        assert_eq!(
            kernels(&[offer("linux-6.1", true, true), offer("x", false, false)]).to_string(),
            "name       version  architecture     size  here  catalog\n\
             linux-6.1  6.1.0    amd64         1.0 MiB  yes   https://a.example/catalog.json (signed)\n\
             x          6.1.0    amd64         1.0 MiB  no    https://a.example/catalog.json\n"
        );
    }
}
