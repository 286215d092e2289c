//! From a registry and a package to a machine, and back to nothing.

use crate::args;
use crate::support::managed::kernel_package;
use crate::support::registry::Debian;
use crate::support::scratch::names;
use crate::support::{Corpus, Machines};

#[test]
fn an_image_comes_from_a_registry_runs_and_leaves_nothing() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("busybox") else { return };
    let Some(package) = kernel_package() else { return };
    let registry = Debian::plain();
    registry.push(&corpus.layout, "latest", "team/busybox:1.36");

    let run = machines.banger(args!["kernel", "import", "--from", package]).ok();
    let kernels = machines.banger(args!["kernel", "ls", "--json"]).ok();
    let kernel: serde_json::Value = serde_json::from_str(kernels.stdout().trim()).unwrap_or_else(|_| panic!("{run}"));
    let version = kernel["version"].as_str().unwrap();
    assert_eq!(kernel["name"].as_str().unwrap(), format!("linux-{version}"));

    let reference = registry.reference("team/busybox:1.36");
    let pulled = machines.banger(args!["pull", reference, "--quiet"]).ok();
    assert_eq!(pulled.stdout(), "busybox-1.36\n");
    let listed = machines.banger(args!["image", "ls"]).ok();
    listed.says("busybox-1.36").says(version);

    let command = "uname -r; ls /lib/modules; cat /proc/cmdline";
    let run =
        machines.banger(args!["run", "--rm", "--channel", "vhost-user", "busybox-1.36", "--", "sh", "-c", command]);
    let run = run.ok();
    let words: Vec<&str> =
        run.output.stdout.split(|&byte| byte == b'\n').map(|line| std::str::from_utf8(line).unwrap()).collect();
    assert_eq!(words[..2], [version, version], "the kernel that runs, and the modules in the image: {run}");

    machines.banger(args!["image", "rm", "busybox-1.36"]).ok();
    machines.banger(args!["kernel", "rm", kernel["name"].as_str().unwrap()]).ok();
    machines.banger(args!["prune", "--all", "--force"]).ok();
    assert_eq!(machines.banger(args!["image", "ls", "--quiet"]).ok().stdout(), "");
    let root = machines.path("state/banger");
    for area in ["images", "kernels", "machines"] {
        let left: Vec<String> = names(&root.join(area)).into_iter().filter(|name| name != "lock").collect();
        assert_eq!(left, [""; 0], "{area}");
    }
    assert_eq!(names(&machines.path(".cache/banger/oci/blobs/sha256")), [""; 0]);
}
