//! Layouts, in a directory and in an archive: which image is meant, and that every byte of it is checked.

use crate::support::*;
use banger_oci::{Error, ErrorKind, Mismatch, Verified, Warning};
use serde_json::json;
use std::io::Read;

#[test]
fn the_only_image_needs_no_name() {
    let layout = simple();
    let image = layout.open("").unwrap();
    assert_eq!(contents(&image), [b"the only layer"]);
    assert_eq!(image.name(), None);
    assert_eq!(image.platform().unwrap().to_string(), host());
    assert_eq!(image.created().unwrap().seconds, 1_735_689_600);
    assert_eq!(image.warnings(), []);

    let archive = layout.archive().save();
    let archived = open(&format!("oci-archive:{}", archive.path().display())).unwrap();
    assert_eq!(archived.manifest_digest(), image.manifest_digest());
    assert_eq!(archived.config().unwrap().raw(), image.config().unwrap().raw());
    assert_eq!(contents(&archived), contents(&image));
}

#[test]
fn an_image_without_layers_is_valid() {
    let layout = Layout::new();
    layout.index(&[layout.image(&host(), &[])]);
    assert!(layout.open("").unwrap().layers().is_empty());
}

#[test]
fn an_image_is_found_by_name_digest_and_place() {
    let layout = Layout::new();
    let one = with_name(layout.image(&host(), &[b"one"]), "v1");
    let mut two = with_name(layout.image(&host(), &[b"two"]), "12");
    two["annotations"]["io.containerd.image.name"] = json!("docker.io/library/debian:12");
    layout.index(&[one.clone(), two.clone()]);
    let (one_digest, two_digest) = (digest_of(&one), digest_of(&two));

    for (image, expected) in [
        (":v1", "one"),
        (":@0", "one"),
        (&format!(":@{one_digest}"), "one"),
        (&format!("@{one_digest}"), "one"),
        (&format!(":v1@{one_digest}"), "one"),
        (":12", "two"),
        (":debian:12", "two"),
        (":docker.io/library/debian:12", "two"),
        (":@1", "two"),
    ] {
        let opened = layout.open(image).unwrap_or_else(|e| panic!("{image}: {e}"));
        assert_eq!(contents(&opened), [expected.as_bytes()], "{image}");
    }
    assert_eq!(layout.open(":v1").unwrap().name(), Some("v1"));

    for image in [":v2", ":@2", ":debian", &format!(":v1@{two_digest}")] {
        let error = layout.open(image).unwrap_err();
        assert!(matches!(&error, Error::NoImage { .. }), "{image}: {error}");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let text = error.to_string();
        assert!(text.ends_with("there are: docker.io/library/debian:12, v1"), "{text}");
    }

    let error = layout.open("").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let text = error.to_string();
    assert!(text.ends_with("holds 2 images, choose one of: docker.io/library/debian:12, v1"), "{text}");
}

#[test]
fn a_name_may_have_the_digest_in_it() {
    let layout = Layout::new();
    let (one, two) = (layout.image(&host(), &[b"one"]), layout.image(&host(), &[b"two"]));
    let name = format!("docker.io/library/debian@{}", digest_of(&one));
    layout.index(&[with_name(one.clone(), &name), with_name(two.clone(), "debian")]);
    let (one, two) = (digest_of(&one), digest_of(&two));
    for (image, expected) in [
        (format!(":{name}"), "one"),
        (format!(":debian@{one}"), "one"),
        (format!(":debian@{two}"), "two"),
        (":debian".to_owned(), "two"),
    ] {
        let opened = layout.open(&image).unwrap_or_else(|e| panic!("{image}: {e}"));
        assert_eq!(contents(&opened), [expected.as_bytes()], "{image}");
    }
}

#[test]
fn two_names_of_one_image_are_one_image() {
    let layout = Layout::new();
    let image = layout.image(&host(), &[b"one"]);
    layout.index(&[with_name(image.clone(), "a"), with_name(image, "b")]);
    assert!(layout.open("").is_ok());
}

#[test]
fn several_nameless_images_are_listed_by_digest() {
    let layout = Layout::new();
    let images = [layout.image(&host(), &[b"one"]), layout.image(&host(), &[b"two"])];
    layout.index(&images);
    let error = layout.open("").unwrap_err();
    assert!(matches!(&error, Error::SeveralImages { .. }), "{error}");
    assert!(error.to_string().contains(&format!("@{}", digest_of(&images[0]))), "{error}");
}

#[test]
fn several_images_of_one_name_are_told_apart_by_digest() {
    let layout = Layout::new();
    let images = [b"one", b"two"].map(|layer| with_name(layout.image(&host(), &[layer]), "v1"));
    layout.index(&images);
    let error = layout.open(":v1").unwrap_err();
    let Error::SeveralImages { images: names, .. } = &error else { panic!("{error}") };
    assert_eq!(names.len(), 2);
    for name in names {
        assert!(name.starts_with("v1@sha256:"), "{name}");
        assert_eq!(format!("v1@{}", layout.open(&format!(":{name}")).unwrap().manifest_digest().unwrap()), *name);
    }
}

#[test]
fn a_layout_without_images_says_so() {
    let layout = Layout::new();
    layout.index(&[]);
    for (image, kind) in [("", ErrorKind::NotFound), (":x", ErrorKind::NotFound), (":@0", ErrorKind::NotFound)] {
        assert_eq!(layout.open(image).unwrap_err().kind(), kind);
    }
    assert!(layout.open("").unwrap_err().to_string().ends_with("holds no image"));
}

#[test]
fn a_layer_with_the_same_size_and_other_bytes_is_detected() {
    let layout = simple();
    let blob = layout.blob(LAYER, b"the only layer");
    std::fs::write(layout.blob_file(&blob), b"the 0nly layer").unwrap();
    let image = layout.open("").unwrap();
    let layer = &image.layers()[0];
    let mut bytes = Vec::new();
    let error = Verified::new(layer.open().unwrap(), *layer.digest().unwrap(), layer.size().unwrap())
        .read_to_end(&mut bytes)
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let mismatch = error.get_ref().unwrap().downcast_ref::<Mismatch>().unwrap();
    assert!(matches!(mismatch, Mismatch::Digest { expected, .. } if **expected == digest_of(&blob)), "{mismatch}");
}

#[test]
fn a_layer_that_is_shorter_longer_or_missing_is_detected_at_once() {
    for (content, expected) in [(Some(&b"the only laye"[..]), 13), (Some(b"the only layer."), 15), (None, 0)] {
        let layout = simple();
        let blob = layout.blob_file(&layout.blob(LAYER, b"the only layer"));
        match content {
            Some(content) => std::fs::write(blob, content).unwrap(),
            None => std::fs::remove_file(blob).unwrap(),
        }
        let directory = layout.open("").unwrap_err();
        let archive = layout.archive().save();
        let archive = open(&format!("oci-archive:{}", archive.path().display())).unwrap_err();
        for error in [directory, archive] {
            match (&error, content) {
                (Error::Integrity { source: Mismatch::Size { expected: 14, actual }, .. }, Some(_)) => {
                    assert_eq!(*actual, expected);
                }
                (Error::Missing { .. }, None) => assert_eq!(error.kind(), ErrorKind::NotFound),
                _ => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_tampered_manifest_or_config_is_detected() {
    // Every way to touch each of the two: same size, shorter, longer.
    for which in ["manifest", "config"] {
        for edit in
            [|b: &mut Vec<u8>| b[10] ^= 1, |b: &mut Vec<u8>| b.truncate(b.len() - 1), |b: &mut Vec<u8>| b.push(b' ')]
        {
            let layout = Layout::new();
            let manifest = layout.image(&host(), &[b"x"]);
            layout.index(std::slice::from_ref(&manifest));
            let mut file = layout.blob_file(&manifest);
            if which == "config" {
                let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
                file = layout.blob_file(&manifest["config"]);
            }
            let mut bytes = std::fs::read(&file).unwrap();
            edit(&mut bytes);
            std::fs::write(&file, &bytes).unwrap();
            let error = layout.open("").unwrap_err();
            assert!(matches!(&error, Error::Integrity { .. }), "{which}: {error}");
            assert!(error.to_string().starts_with(which), "{error}");
            assert_eq!(error.kind(), ErrorKind::Integrity);
        }
    }
}

#[test]
fn a_sha512_layout_is_read_and_checked() {
    let layout = Layout::new();
    let manifest = layout.image(&host(), &[b"x"]);
    let bytes = std::fs::read(layout.blob_file(&manifest)).unwrap();
    let digest = banger_oci::Digest::of(banger_oci::Algorithm::Sha512, &bytes);
    layout.write(&digest.blob_path(), &bytes);
    layout.index(&[json!({ "mediaType": MANIFEST, "digest": digest.to_string(), "size": bytes.len() })]);
    assert_eq!(layout.open("").unwrap().manifest_digest(), Some(&digest));

    let mut other = bytes.clone();
    other[10] ^= 1;
    layout.write(&digest.blob_path(), &other);
    assert!(matches!(layout.open(""), Err(Error::Integrity { .. })));
}

#[test]
fn layers_are_read_from_several_threads_at_once() {
    let layout = Layout::new();
    let layers: Vec<Vec<u8>> = (0..8u8).map(|n| vec![n; 300_000 + usize::from(n)]).collect();
    let slices: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    layout.index(&[layout.image(&host(), &slices)]);
    let archive = layout.archive().save();
    for source in [format!("oci:{}", layout.path().display()), format!("oci-archive:{}", archive.path().display())] {
        let image = open(&source).unwrap();
        std::thread::scope(|scope| {
            for (layer, expected) in image.layers().iter().zip(&layers) {
                // Two readers of each layer, taking turns.
                scope.spawn(move || {
                    let (mut one, mut two) = (layer.open().unwrap(), layer.open().unwrap());
                    let (mut first, mut second) = (Vec::new(), Vec::new());
                    for _ in 0..expected.len().div_ceil(1000) {
                        (&mut one).take(1000).read_to_end(&mut first).unwrap();
                        (&mut two).take(1000).read_to_end(&mut second).unwrap();
                    }
                    assert_eq!((&first, &second), (expected, expected));
                });
            }
        });
    }
}

#[test]
fn bytes_that_contradict_the_media_type_are_a_warning() {
    let layout = Layout::new();
    let compressed = gzip(b"a layer");
    let diff_ids = vec![banger_oci::Digest::sha256(b"a layer").to_string(); 2];
    let config = layout.document(CONFIG, &json!({ "rootfs": { "type": "layers", "diff_ids": diff_ids } }));
    let layers = [layout.blob(LAYER_GZIP, &compressed), layout.blob(LAYER, &compressed)];
    layout.index(&[layout.manifest(config, &layers)]);
    let image = layout.open("").unwrap();
    assert!(matches!(image.warnings(), [Warning::MediaType { layer: 1, .. }]), "{:?}", image.warnings());
    assert_eq!(image.warnings()[0].to_string(), "layer 2 is called plain tar by its media type, but it is gzip");
}

#[test]
fn what_is_no_layout_says_what_it_is() {
    let empty = tempfile::tempdir().unwrap();
    let error = open(&format!("oci:{}", empty.path().display())).unwrap_err();
    assert!(error.to_string().contains("oci-layout, which marks an image layout, is missing"), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let error = open(&format!("oci:{}/nothing", empty.path().display())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let file = save(b"x");
    let error = open(&format!("oci:{}", file.path().display())).unwrap_err();
    assert!(error.to_string().contains("oci-archive:FILE"), "{error}");

    let layout = simple();
    let error = open(&format!("oci-archive:{}", layout.path().display())).unwrap_err();
    assert!(error.to_string().contains("oci:DIR"), "{error}");

    layout.write("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#);
    assert_eq!(layout.open("").unwrap_err().kind(), ErrorKind::Unsupported);
    for marker in [&b""[..], b"{}", b"[]", &[b' '; 5000]] {
        layout.write("oci-layout", marker);
        assert_eq!(layout.open("").unwrap_err().kind(), ErrorKind::Integrity);
    }

    let layout = simple();
    std::fs::remove_file(layout.path().join("index.json")).unwrap();
    assert!(matches!(layout.open(""), Err(Error::Missing { .. })));
}

#[test]
fn files_that_are_no_files_do_not_block() {
    let layout = simple();
    for name in ["index.json", "oci-layout"] {
        let path = layout.path().join(name);
        let content = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // Opening a FIFO would wait for a writer for ever.
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        );
        made.unwrap();
        let error = layout.open("").unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, content).unwrap();
    }
    assert!(layout.open("").is_ok());
}
