//! An image that is built here, of the layers of an image in a registry or on this machine.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use banger_api::event::Step;
use banger_api::image::{BuildOptions, PullImage};
use banger_api::{ErrorKind, Observer, Problem, Result, time};
use banger_distribution::Artifact;
use banger_oci::{Digest, Image, Platform};
use banger_protocol::boot::{Init, InitError};
use banger_protocol::tuning::{Ulimit, check_sysctl};
use banger_registry::Registry;
use banger_rootfs::{Options, Report};
use banger_store::image::{self, ROOTFS, Row, Stage, Staging};

use super::artifact::{self, Found, Taken};
use super::kernel::{self, Chosen};
use super::naming::Naming;
use super::{CONFIG, share, stage};
use crate::access::{Access, settings};
use crate::engine::watching::step;
use crate::engine::{Engine, layers};
use crate::hints::{self, Asked};
use crate::key::{self, Rootfs};
use crate::problem::{of_distribution, of_file, of_store};
use crate::progress::Telling;
use crate::source::Origin;

/// How often it is begun at most, when what a reference means changes while it is being built.
const ATTEMPTS: usize = 3;

/// An image that is about to be built.
struct Source<'a> {
    origin: &'a Origin,
    asked: Asked<'a>,
    wanted: Option<&'a Platform>,
    registry: Option<Registry>,
    /// What was opened to look at it, and can be read once.
    opened: Mutex<Option<Image>>,
    digest: Option<Digest>,
    platform: Option<Platform>,
    config: Option<Vec<u8>>,
    /// What it is instead, if it was made already.
    artifact: Option<Artifact>,
    /// The largest window of zstd, where one is set.
    zstd_window: Option<u64>,
}

/// Builds an image, or takes it as it is where somebody's banger has made it.
pub(super) fn pull(
    engine: &Engine,
    request: &PullImage,
    origin: &Origin,
    platform: Option<&Platform>,
    mut naming: Naming,
    observer: &Arc<dyn Observer>,
) -> Result<Row> {
    let access = Access::requested(&request.registry, &engine.directories)?;
    let mut source = Source::new(engine, request, origin, platform, &access, observer)?;
    for _ in 0..ATTEMPTS {
        source.look()?;
        if let (Some(artifact), Some(digest)) = (&source.artifact, source.digest) {
            let opened = source.opened.lock().unwrap_or_else(PoisonError::into_inner);
            let (access, asked) = (&access, &source.asked);
            let place = match (origin.reference(), &source.registry, &*opened) {
                (Some(reference), Some(registry), _) => {
                    artifact::Place::Registry { reference, wanted: platform, registry, access, asked }
                }
                (_, _, Some(image)) => artifact::Place::Local(image),
                // It was opened to look at it.
                _ => continue,
            };
            let found = Found { artifact, source: source.name(), digest, place };
            match artifact::pull(engine, request, &found, source.architecture(), naming, observer)? {
                Taken::Row(row) => return Ok(*row),
                Taken::Moved(back) => naming = back,
            }
            continue;
        }
        source.check_agent(&request.build)?;
        let kernel = kernel::choose(engine, &request.kernel, None, source.architecture(), observer)?;
        let staging = match source.id(&request.build, kernel.as_ref()) {
            Some(id) => match stage(engine, &id, observer)? {
                Stage::Ready(shared) => return share(engine, naming, &shared, &source.name(), observer),
                Stage::New(staging) => staging,
            },
            None => engine.store.stage_unnamed().map_err(|error| of_store(&error))?,
        };
        if let Some(kernel) = &kernel {
            kernel.verify(observer)?;
        }
        let Some(report) = source.build(request, kernel.as_ref(), staging.path(), observer)? else { continue };
        return finish(&source, &request.build, &report, kernel.as_ref(), staging, naming, observer);
    }
    let what = format!("what {} means changes all the time", request.source);
    Err(Problem::new(ErrorKind::Other, what).hint("name the image by its digest"))
}

/// Digest of the manifest that a source stands for now, where it has one. Standard input, which can be read once, is left alone.
pub(super) fn digest(
    engine: &Engine,
    request: &PullImage,
    origin: &Origin,
    platform: Option<&Platform>,
    observer: &Arc<dyn Observer>,
) -> Result<Option<String>> {
    if origin.is_stdin() {
        return Ok(None);
    }
    let access = Access::requested(&request.registry, &engine.directories)?;
    let mut source = Source::new(engine, request, origin, platform, &access, observer)?;
    source.look()?;
    Ok(source.digest.map(|digest| digest.to_string()))
}

impl<'a> Source<'a> {
    fn new(
        engine: &Engine,
        request: &'a PullImage,
        origin: &'a Origin,
        wanted: Option<&'a Platform>,
        access: &Access,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self> {
        let registry = match origin.reference() {
            Some(reference) => Some(access.registry(&[reference], None, observer)?),
            None => None,
        };
        Ok(Self {
            origin,
            asked: Asked { text: request.source.as_ref(), place: origin.into(), said: access.said },
            wanted,
            registry,
            opened: Mutex::default(),
            digest: None,
            platform: None,
            config: None,
            artifact: None,
            zstd_window: settings(&request.registry, &engine.directories)?.zstd_window,
        })
    }

    /// Finds out which image it is.
    fn look(&mut self) -> Result<()> {
        let failed = |error| hints::for_image(&error, &self.asked);
        let selected = match (self.origin.reference(), &self.registry) {
            (Some(reference), Some(registry)) => registry.prepare(reference, self.wanted).map_err(failed)?.image,
            _ => None,
        };
        if let Some(selected) = selected {
            self.digest = Some(selected.descriptor.digest);
            let artifact = banger_distribution::recognise(Some(&selected.manifest), Some(&selected.config));
            self.artifact = artifact.map_err(|error| of_distribution(&error))?;
            self.config = Some(selected.config.raw().to_vec());
            self.platform = selected.platform;
        } else {
            // On this machine looking costs nothing; and why a registry has none for the platform, is said when it is opened.
            let image = self.origin.open(self.wanted, self.registry.as_ref()).map_err(failed)?;
            let artifact = banger_distribution::recognise(image.manifest(), image.config());
            self.artifact = artifact.map_err(|error| of_distribution(&error))?;
            self.digest = image.manifest_digest().copied();
            self.config = image.config().map(|config| config.raw().to_vec());
            self.platform = image.platform().cloned();
            self.opened = Mutex::new(Some(image));
        }
        Ok(())
    }

    fn open(&self) -> banger_oci::Result<Image> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        opened.map_or_else(|| self.origin.open(self.wanted, self.registry.as_ref()), Ok)
    }

    /// Where it comes from, in full.
    fn name(&self) -> String {
        match self.origin {
            Origin::Local(source) => source.to_string(),
            Origin::Registry(reference) => reference.to_string(),
            Origin::Demo => crate::source::DEMO.to_owned(),
        }
    }

    /// The architecture that it is for; this machine's, where it does not say.
    fn architecture(&self) -> &str {
        let platform = self.platform.as_ref().or(self.wanted);
        platform.map_or(banger_guest::agent::architecture(), Platform::architecture)
    }

    /// Makes sure that the agent can run in it, before anything is said of a kernel for it.
    fn check_agent(&self, build: &BuildOptions) -> Result<()> {
        let agent = banger_guest::agent::architecture();
        match self.platform.as_ref().or(self.wanted) {
            Some(found) if !build.bare && found.architecture() != agent => {
                let error = banger_rootfs::Error::Architecture { found: found.clone(), agent };
                Err(hints::for_build(&error, &self.asked, None))
            }
            _ => Ok(()),
        }
    }

    /// The id that the image will have, where that is known before it is built.
    fn id(&self, build: &BuildOptions, kernel: Option<&Chosen>) -> Option<String> {
        let digest = self.digest.as_ref()?.to_string();
        Some(key::id(Rootfs::of_manifest(&digest, build), kernel.map(|kernel| kernel.digest.as_str())))
    }

    /// Builds it. None, if it turns out to be another one than it was.
    fn build(
        &self,
        request: &PullImage,
        kernel: Option<&Chosen>,
        directory: &Path,
        observer: &Arc<dyn Observer>,
    ) -> Result<Option<Report>> {
        let mut options = options(request, kernel, directory)?;
        options.zstd_window = self.zstd_window.unwrap_or(options.zstd_window);
        let report = banger_rootfs::build(&|| self.open(), &options, &Telling::new(observer));
        let report = report.map_err(|error| hints::for_build(&error, &self.asked, None))?;
        Ok((report.manifest_digest == self.digest).then_some(report))
    }
}

fn options(request: &PullImage, kernel: Option<&Chosen>, directory: &Path) -> Result<Options> {
    let build = &request.build;
    let mut options = Options::new(directory.join(ROOTFS));
    options.jobs = request.registry.jobs.and_then(NonZeroUsize::new).unwrap_or(options.jobs);
    options.size = build.size;
    if let Some(label) = &build.label {
        options.label.clone_from(label);
    }
    if !build.bare {
        check_sysctls(build)?;
        options.modules = kernel.and_then(|kernel| kernel.triple.modules.clone());
        options.guest = Some(banger_guest::Options {
            hostname: build.hostname.clone(),
            ssh_keys: build.ssh_keys.clone(),
            env: build.env.clone(),
            sysctls: build.sysctls.clone(),
            ulimits: ulimits(build)?,
            entrypoint: build.entrypoint.clone(),
            command: build.command.clone(),
            user: build.user.clone(),
            directory: build.directory.clone(),
            init: init(build)?,
            sshd: build.sshd,
        });
    }
    Ok(options)
}

/// What the command line refuses is refused of any caller.
fn check_sysctls(build: &BuildOptions) -> Result<()> {
    for (name, value) in &build.sysctls {
        check_sysctl(name, value).map_err(|reason| Problem::new(ErrorKind::Usage, reason))?;
    }
    Ok(())
}

fn ulimits(build: &BuildOptions) -> Result<BTreeMap<String, Ulimit>> {
    let limits = build.ulimits.iter().map(|(name, value)| {
        let limit = Ulimit::named(name, value).map_err(|reason| Problem::new(ErrorKind::Usage, reason))?;
        Ok((name.clone(), limit))
    });
    limits.collect()
}

/// The init that is wanted.
pub(super) fn init(build: &BuildOptions) -> Result<Init> {
    let init = build.init.as_deref().map(str::parse).transpose();
    let init = init.map_err(|error: InitError| {
        Problem::new(ErrorKind::Usage, format!("init {:?}: {error}", build.init.as_deref().unwrap_or_default()))
    });
    init.map(Option::unwrap_or_default)
}

/// Puts beside the root file system what belongs to it, and publishes it all.
fn finish(
    source: &Source<'_>,
    build: &BuildOptions,
    report: &Report,
    kernel: Option<&Chosen>,
    staging: Staging,
    naming: Naming,
    observer: &Arc<dyn Observer>,
) -> Result<Row> {
    if let Some(config) = &source.config {
        let path = staging.path().join(CONFIG);
        std::fs::write(&path, config).map_err(|error| of_file("write", &path, &error))?;
    }
    layers::write(staging.path(), &layers::of_build(&report.layers))?;
    let put = kernel.map(|kernel| kernel::put(kernel, staging.path(), observer)).transpose()?;
    let by_content =
        || key::id(Rootfs::Content { id: &report.content_id }, kernel.map(|kernel| kernel.digest.as_str()));
    step(observer, Step::Publish, naming.name());
    let row = Row {
        id: source.id(build, kernel).unwrap_or_else(by_content),
        name: String::new(),
        source: source.name(),
        digest: source.digest.map(|digest| digest.to_string()),
        platform: source.platform.as_ref().map(Platform::to_string),
        boot: report.boot.as_ref().map(|boot| image::Boot { mode: boot.mode.to_string(), why: boot.why.clone() }),
        kernel: put,
        content_id: Some(report.content_id.clone()),
        size: report.size,
        allocated: 0,
        created: time::now(),
        request: None,
        managed: true,
        rootfs: ROOTFS.into(),
    };
    naming.publish(staging, row)
}
