//! The overlay, judged by qemu-img.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use banger_disk::qcow2;

use crate::judge;

fn qemu_img(arguments: &[&str], path: &Path) -> String {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).chain([path.as_ref()]).collect();
    judge::run("qemu-img", &arguments)
}

#[test]
fn it_reads_as_the_image_below_and_zeros_behind() {
    if !judge::present("it_reads_as_the_image_below_and_zeros_behind", &["qemu-img"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let raw = directory.path().join("image, with a comma");
    let overlay = directory.path().join("overlay.qcow2");
    for (length, size) in
        [(5 << 20, 5 << 20), (5 << 20, 9 << 20), ((5 << 20) + 512, 3 << 30), (1 << 20, 2 << 40), (0, 0)]
    {
        let file = File::create(&raw).unwrap();
        file.set_len(length).unwrap();
        if length > 0 {
            file.write_all_at(b"first", 0).unwrap();
            file.write_all_at(b"last!", length - 5).unwrap();
        }
        std::fs::write(&overlay, qcow2::overlay(&raw, size).unwrap()).unwrap();
        let info: serde_json::Value = serde_json::from_str(&qemu_img(&["info", "--output=json"], &overlay)).unwrap();
        assert_eq!(info["format"], "qcow2");
        assert_eq!(info["virtual-size"], size);
        assert_eq!(info["backing-filename"], raw.to_str().unwrap());
        assert_eq!(info["backing-filename-format"], "raw");
        assert_eq!(info["format-specific"]["data"]["compat"], "1.1");
        assert!(qemu_img(&["check"], &overlay).contains("No errors were found"));
        // Where one is longer, the rest must be zeros: qemu-img holds to that.
        let compare = ["compare", "-f", "raw", "-F", "qcow2"].map(OsStr::new);
        judge::run("qemu-img", &[&compare[..], &[raw.as_ref(), overlay.as_ref()]].concat());
    }
}

#[test]
fn what_is_written_stays_in_it() {
    if !judge::present("what_is_written_stays_in_it", &["qemu-img", "qemu-io"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (raw, overlay) = (directory.path().join("image"), directory.path().join("overlay.qcow2"));
    std::fs::write(&raw, vec![7; 1 << 20]).unwrap();
    std::fs::write(&overlay, qcow2::overlay(&raw, 1 << 30).unwrap()).unwrap();
    // In the image, and far behind it: in another entry of the first table.
    let commands = [
        "-c",
        "write -P 1 4096 4096",
        "-c",
        "write -P 2 900M 64k",
        "-c",
        "read -P 7 0 4096",
        "-c",
        "read -P 1 4096 4096",
    ];
    let more = ["-c", "read -P 0 800M 64k", "-c", "read -P 2 900M 64k"];
    let arguments = commands.into_iter().chain(more).map(OsStr::new).chain([overlay.as_ref()]);
    let said = judge::run("qemu-io", &arguments.collect::<Vec<_>>());
    assert!(!said.contains("Pattern verification failed"), "{said}");
    assert!(qemu_img(&["check"], &overlay).contains("No errors were found"));
    assert_eq!(std::fs::read(&raw).unwrap(), vec![7; 1 << 20]);
}
