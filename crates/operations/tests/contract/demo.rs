//! The life of an image, with the one that is a part of the program: nothing else is needed.

use std::path::Path;
use std::sync::{Arc, Mutex};

use banger_api::catalog::MakeBundle;
use banger_api::event::{Event, Step};
use banger_api::image::{
    BuildOptions, ExportImage, Format, PromoteImage, PullImage, RegisterImage, RemoveImage, RenameImage,
};
use banger_api::kernel::KernelChoice;
use banger_api::system::PruneRequest;
use banger_api::{ErrorKind, Observer, Service, Silent};
use banger_config::Directories;
use banger_operations::Engine;

/// Bytes of the images: enough for the demo, and quickly compared.
const SIZE: u64 = 64 << 20;

fn engine(root: &Path) -> Engine {
    Engine::open(Directories::below(root), None).unwrap()
}

fn silent() -> Arc<dyn Observer> {
    Arc::new(Silent)
}

fn demo(name: Option<&str>) -> PullImage {
    PullImage {
        source: "demo".to_owned(),
        name: name.map(str::to_owned),
        kernel: KernelChoice { none: true, ..KernelChoice::default() },
        build: BuildOptions { size: Some(SIZE), ..BuildOptions::default() },
        ..PullImage::default()
    }
}

/// Everything below a directory but the database's own files.
fn files(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = ["images", "kernels"]
        .iter()
        .flat_map(|area| std::fs::read_dir(root.join(area)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_image_is_pulled_renamed_exported_and_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let engine = engine(scratch.path());
    let image = engine.image_pull(&demo(None), &silent()).unwrap();
    assert_eq!((image.name.as_str(), image.managed, image.source.as_str()), ("demo", true, "demo:"));
    assert_eq!(image.boot.as_ref().map(|boot| boot.mode.as_str()), Some("workload"));
    assert_eq!(image.rootfs.metadata().unwrap().len(), image.size);
    assert_eq!(engine.image_list().unwrap(), std::slice::from_ref(&image));

    let renamed = engine.image_rename(&RenameImage { image: "demo".into(), name: "greeting".into() }).unwrap();
    assert_eq!(renamed, banger_api::image::Image { name: "greeting".into(), ..image.clone() });
    assert_eq!(engine.image_show(&image.id[..8]).unwrap().image, renamed);

    for (format, file) in [(Format::Raw, "raw"), (Format::Qcow2, "qcow2"), (Format::Tar, "tar")] {
        let output = scratch.path().join(file);
        let request =
            ExportImage { image: "greeting".into(), format, output: output.clone(), force: false, sparse: false };
        let exported = engine.image_export(&request, &silent()).unwrap();
        assert_eq!(exported.size, output.metadata().unwrap().len());
        assert_eq!(engine.image_export(&request, &silent()).unwrap_err().kind, ErrorKind::Conflict);
    }
    assert_eq!(std::fs::read(scratch.path().join("raw")).unwrap(), std::fs::read(&image.rootfs).unwrap());

    let removed =
        engine.image_remove(&RemoveImage { image: "greeting".into(), more: Vec::new(), force: false }).unwrap();
    assert_eq!(removed.names, ["greeting"]);
    assert!(removed.freed >= image.allocated);
    assert_eq!(files(engine.store().root()), [""; 0]);
    assert_eq!(engine.image_show("greeting").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn the_same_image_is_not_made_twice() {
    #[derive(Debug, Default)]
    struct Steps(Mutex<Vec<Step>>);
    impl Observer for Steps {
        fn event(&self, event: Event) {
            if let Event::Step { step, .. } = event {
                self.0.lock().unwrap().push(step);
            }
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    let engine = engine(scratch.path());
    let first = engine.image_pull(&demo(None), &silent()).unwrap();
    assert_eq!(engine.image_pull(&demo(None), &silent()).unwrap_err().kind, ErrorKind::Conflict);
    let steps = Arc::new(Steps::default());
    let observer: Arc<dyn Observer> = Arc::<Steps>::clone(&steps);
    let second = engine.image_pull(&demo(Some("other")), &observer).unwrap();
    assert_eq!(*steps.0.lock().unwrap(), [Step::Resolve, Step::Publish]);
    assert_eq!((&second.id, &second.rootfs), (&first.id, &first.rootfs));
    assert_eq!(engine.image_show("demo").unwrap().shared_with, ["other"]);
    assert_eq!(files(engine.store().root()), [first.id.as_str()]);

    // What is named by its id is several images.
    let by_id = |force| engine.image_remove(&RemoveImage { image: first.id[..12].to_owned(), more: Vec::new(), force });
    assert_eq!(by_id(false).unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(
        engine.image_remove(&RemoveImage { image: "demo".into(), more: Vec::new(), force: false }).unwrap().freed,
        0
    );
    assert!(second.rootfs.exists());
    assert_eq!(by_id(false).unwrap().names, ["other"]);
    assert_eq!(files(engine.store().root()), [""; 0]);
}

#[test]
fn a_registered_image_is_promoted() {
    let scratch = tempfile::tempdir().unwrap();
    let engine = engine(scratch.path());
    let pulled = engine.image_pull(&demo(None), &silent()).unwrap();
    let own = scratch.path().join("own.ext4");
    std::fs::copy(&pulled.rootfs, &own).unwrap();
    let none = || KernelChoice { none: true, ..KernelChoice::default() };
    let register = |name: &str, rootfs: &Path| {
        engine.image_register(&RegisterImage { name: name.into(), rootfs: rootfs.to_owned(), kernel: none() })
    };
    let registered = register("own", &own).unwrap();
    assert_eq!((registered.managed, &registered.rootfs), (false, &own));
    assert_eq!(registered.boot, pulled.boot);
    assert_eq!(register("own", &own).unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(register("text", Path::new(file!())).unwrap_err().kind, ErrorKind::NotFound);
    let text = scratch.path().join("text");
    std::fs::write(&text, "no file system").unwrap();
    assert_eq!(register("text", &text).unwrap_err().kind, ErrorKind::Integrity);

    let promoted = engine.image_promote(&PromoteImage { image: "own".into() }, &silent()).unwrap();
    assert!(promoted.managed && promoted.rootfs != own && own.exists());
    assert_eq!(std::fs::read(&promoted.rootfs).unwrap(), std::fs::read(&own).unwrap());
    let again = engine.image_promote(&PromoteImage { image: "own".into() }, &silent());
    assert_eq!(again.unwrap_err().kind, ErrorKind::Conflict);
}

#[test]
fn a_pull_that_is_cancelled_leaves_nothing() {
    struct Impatient;
    impl Observer for Impatient {
        fn event(&self, _event: Event) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    let engine = engine(scratch.path());
    let observer: Arc<dyn Observer> = Arc::new(Impatient);
    assert_eq!(engine.image_pull(&demo(None), &observer).unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(files(engine.store().root()), [""; 0]);
    assert_eq!(engine.image_list().unwrap(), []);
}

#[test]
fn a_bundle_is_the_same_each_time() {
    let scratch = tempfile::tempdir().unwrap();
    let engine = engine(scratch.path());
    engine.image_pull(&demo(None), &silent()).unwrap();
    let make = |directory: &str| {
        let directory = scratch.path().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        engine.bundle_make(&MakeBundle { image: "demo".into(), directory }, &silent()).unwrap()
    };
    let (one, other) = (make("a"), make("b"));
    assert_eq!(std::fs::read(&one.path).unwrap(), std::fs::read(&other.path).unwrap());
    assert_eq!(one.path.file_name(), other.path.file_name());
}

#[test]
fn a_missing_kernel_is_told_before_anything_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let engine = engine(scratch.path());
    for kernel in [KernelChoice::default(), KernelChoice { name: Some("nosuch".into()), ..KernelChoice::default() }] {
        let problem = engine.image_pull(&PullImage { kernel, ..demo(None) }, &silent()).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::NotFound, "{problem:?}");
        assert!(!problem.hints.is_empty());
    }
    assert_eq!(files(engine.store().root()), [""; 0]);
}

#[test]
fn what_is_used_is_counted_and_what_is_left_is_pruned() {
    let scratch = tempfile::tempdir().unwrap();
    let engine = engine(scratch.path());
    engine.image_pull(&demo(None), &silent()).unwrap();
    let left = engine.store().root().join(format!("images/{}.staging", "0".repeat(64)));
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("rootfs.ext4"), [1; 5000]).unwrap();
    let usage = engine.system_df().unwrap();
    let sizes: Vec<_> = usage.parts.iter().filter(|part| part.size > 0).map(|part| part.part).collect();
    assert_eq!(sizes, [banger_api::system::Part::Images, banger_api::system::Part::Leftovers]);
    let pruned = engine.system_prune(&PruneRequest { dry_run: true, all: true }).unwrap();
    assert!(left.exists() && pruned.freed >= 5000);
    assert_eq!(engine.system_prune(&PruneRequest { dry_run: false, all: true }).unwrap(), pruned);
    assert!(!left.exists());
    assert_eq!(engine.image_list().unwrap().len(), 1);
}
