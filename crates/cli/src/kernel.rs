//! `banger kernel`: kernels that are kept here, and those that can be had.

use std::process::ExitCode;
use std::sync::Arc;

use banger_api::catalog::{Offer, What};
use banger_api::kernel::{ExportKernel, ImportKernel, Kernel, PullKernel, RemoveKernel};
use banger_api::{ErrorKind, Observer, Problem, Service};
use banger_store::name::nearest;

use crate::args::{
    KernelCommand, KernelExport, KernelImport, KernelLs, KernelOutput, KernelPull, KernelRm, KernelShow, ServiceOptions,
};
use crate::catalog;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::image::{absolute, each, facts};
use crate::output::{json, print, print_list, say};
use crate::service;
use crate::table::Table;
use crate::text::{Bytes, Line, Moment};

pub(crate) fn run(command: &KernelCommand, options: &ServiceOptions) -> Result<ExitCode, Failure> {
    let service = &*service::open(options)?;
    match command {
        KernelCommand::Ls(ls) if ls.available => available(ls, service),
        KernelCommand::Ls(ls) => list(ls, service),
        KernelCommand::Show(show) => self::show(show, service),
        KernelCommand::Pull(pull) => self::pull(pull, service),
        KernelCommand::Import(import) => self::import(import, service),
        KernelCommand::Export(export) => self::export(export, service),
        KernelCommand::Rm(rm) => return remove(rm, service),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(ls: &KernelLs, service: &dyn Service) -> Result<(), Failure> {
    let kernels = service.kernel_list()?;
    let none = "there is no kernel yet: `banger kernel pull debian` gets one";
    print_list(&ls.output, &kernels, |kernel| &kernel.name, table, none)
}

fn table(kernels: &[Kernel]) -> Table<6> {
    let mut table = Table::new(["name", "version", "architecture", ">size", "created", "source"]);
    for kernel in kernels {
        table.row([
            Line(&kernel.name).to_string(),
            Line(kernel.version.as_deref().unwrap_or("-")).to_string(),
            Line(&kernel.architecture).to_string(),
            Bytes(kernel.size).to_string(),
            Moment(&kernel.created).to_string(),
            Line(&kernel.source).to_string(),
        ]);
    }
    table
}

fn available(ls: &KernelLs, service: &dyn Service) -> Result<(), Failure> {
    let offers = service::follow(false, |observer: &Arc<dyn Observer>| service.catalog_list(observer))?;
    let offers: Vec<Offer> = offers.into_iter().filter(|offer| offer.what == What::Kernel).collect();
    let none = "no catalog has a kernel: `banger kernel import --from` takes one from a package or a directory";
    print_list(&ls.output, &offers, |offer| &offer.name, catalog::kernels, none)
}

fn show(show: &KernelShow, service: &dyn Service) -> Result<(), Failure> {
    let kernels = service.kernel_list()?;
    let Some(kernel) = kernels.iter().find(|kernel| kernel.name == show.name) else {
        let problem = Problem::new(ErrorKind::NotFound, format!("there is no kernel {:?}", show.name));
        let near = nearest(&show.name, kernels.into_iter().map(|kernel| kernel.name)).into_iter().next();
        return Err(problem
            .hint(match near {
                Some(near) => format!("perhaps {near} is meant"),
                None => "`banger kernel ls` lists those that are kept here".to_owned(),
            })
            .into());
    };
    if show.json { print(&json(kernel)?) } else { print(&text(kernel)) }
}

fn text(kernel: &Kernel) -> String {
    facts(&[
        ("name", Some(kernel.name.clone())),
        ("version", kernel.version.clone()),
        ("architecture", Some(kernel.architecture.clone())),
        ("format", Some(kernel.format.clone())),
        ("digest", Some(kernel.digest.clone())),
        ("size", Some(Bytes(kernel.size).to_string())),
        ("source", Some(kernel.source.clone())),
        ("created", Some(Moment(&kernel.created).to_string())),
        ("image", Some(kernel.image.display().to_string())),
        ("initrd", kernel.initrd.as_ref().map(|path| path.display().to_string())),
        ("modules", kernel.modules.as_ref().map(|path| path.display().to_string())),
    ])
}

fn pull(pull: &KernelPull, service: &dyn Service) -> Result<(), Failure> {
    let request =
        PullKernel { name: pull.kernel.clone(), rename: pull.rename.clone(), architecture: pull.arch.clone() };
    let kernel = service::follow(pull.output.quiet, |observer| service.kernel_pull(&request, observer))?;
    tell(&kernel, &pull.output)
}

fn import(import: &KernelImport, service: &dyn Service) -> Result<(), Failure> {
    let mut files = import.from.iter().map(|file| absolute(file)).collect::<Result<Vec<_>, _>>()?.into_iter();
    let Some(from) = files.next() else { return Err(Failure::new(Exit::Usage, "--from names no file")) };
    let request = ImportKernel { from, more: files.collect(), name: import.name.clone() };
    let kernel = service::follow(import.output.quiet, |observer| service.kernel_import(&request, observer))?;
    tell(&kernel, &import.output)
}

fn tell(kernel: &Kernel, output: &KernelOutput) -> Result<(), Failure> {
    if output.json {
        return print(&json(kernel)?);
    }
    if output.quiet {
        return print(&kernel.name);
    }
    let version = kernel.version.as_deref().unwrap_or("without a version");
    say(&format!("{}: Linux {version} for {}, {}", kernel.name, kernel.architecture, Bytes(kernel.size)));
    Ok(())
}

fn export(export: &KernelExport, service: &dyn Service) -> Result<(), Failure> {
    let request = ExportKernel { name: export.name.clone(), directory: absolute(&export.output.directory)? };
    let archive = service::follow(export.output.quiet, |observer| service.kernel_export(&request, observer))?;
    catalog::tell(&archive, &export.output)
}

fn remove(rm: &KernelRm, service: &dyn Service) -> Result<ExitCode, Failure> {
    let request = |name: &String| RemoveKernel { name: name.clone() };
    each(rm.names.iter().map(|name| service.kernel_remove(&request(name))), &rm.output)
}
