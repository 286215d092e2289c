//! What docker's users type from habit: each is refused, or understood, with what to type instead.

use crate::support::program::{banger, command};
use crate::support::{Run, scratch};

/// Everything is a usage error whose first hint is the right one.
#[test]
fn letters_and_commands_of_docker_have_a_hint() {
    for (typed, hint) in [
        ("run -p 8080:80 nginx", "--port [ADDRESS:]HOST:GUEST forwards a port"),
        ("run --publish=8080:80 nginx", "--port [ADDRESS:]HOST:GUEST forwards a port"),
        ("run -P nginx", "--port HOST:GUEST"),
        ("run -d nginx", "put `&` behind the command"),
        ("run -dp 8080:80 nginx", "put `&` behind the command"),
        ("run --restart always nginx", "service manager"),
        ("run -it debian bash", "no option is needed"),
        ("run -ti debian bash", "no option is needed"),
        ("run -i debian", "no option is needed"),
        ("run --tty debian", "no option is needed"),
        ("run -v /a:/b debian", "--add SRC:DST"),
        ("run --mount type=bind debian", "--add SRC:DST"),
        ("run --name web nginx", "--hostname NAME"),
        ("run --network host nginx", "a network of its own"),
        ("run -m 1g nginx", "--memory SIZE"),
        ("run --privileged nginx", "a kernel of its own"),
        ("run demo: ls -l /", "`banger run demo: -- ls -l /`"),
        ("run --rm ls ls", "`banger run --rm ls -- ls`"),
        ("run --hostname sh debian sh -c sh", "`banger run --hostname sh debian -- sh -c sh`"),
        ("build -t app .", "-o FILE names the image file"),
        ("build -f Dockerfile .", "not Dockerfiles"),
        ("build .", "not Dockerfiles"),
        ("build . -o disk.ext4", "not Dockerfiles"),
        ("pull -a debian", "name its tag"),
        ("images -a", "all images are listed"),
        ("ps", "no list of machines yet"),
        ("ps -a", "no list of machines yet"),
        ("exec web sh", "`banger run IMAGE -- CMD`"),
        ("stop web", "Ctrl-C"),
        ("rmi nginx", "`banger image rm IMAGE`"),
        ("rm web", "`banger image rm IMAGE`"),
        ("tag a b", "`banger image rename IMAGE NAME`"),
        ("push a", "`banger image push IMAGE REF`"),
        ("save a -o f", "`banger image export IMAGE -o FILE`"),
        ("load -i f", "docker-archive:FILE"),
        ("inspect a", "`banger image show IMAGE`"),
        ("history a", "`banger image history IMAGE`"),
        ("search a", "`banger catalog ls`"),
        ("logs web", "serial.log"),
        ("version", "`banger --version`"),
        ("system prune", "`banger prune`"),
        ("compose up", "single machines"),
    ] {
        let directory = scratch();
        let run = Run::of(command().args(typed.split(' ')).current_dir(directory.path())).expect(2);
        let stderr = run.stderr();
        let first =
            stderr.lines().find(|line| line.starts_with("hint: ")).unwrap_or_else(|| panic!("{typed}: no hint: {run}"));
        assert!(first.contains(hint), "{typed}: {first}");
        assert!(!stderr.contains("to pass '"), "clap's own advice is wrong here: {run}");
    }
}

/// What is wrong and not docker's keeps its own hints.
#[test]
fn other_mistakes_have_no_hint_of_dockers() {
    banger(["run", "--memroy", "1G", "demo:"]).expect(2).says("--memory");
    banger(["imagse"]).expect(2).says("image");
    banger(["image", "ls", "-p"]).expect(2).says("unexpected argument '-p'");
}

#[test]
fn help_is_a_command_too() {
    for (typed, meant) in [
        ("help", "--help"),
        ("help run", "run --help"),
        ("help image ls", "image ls --help"),
        ("image help", "image --help"),
    ] {
        let [typed, meant] = [typed, meant].map(|text| banger(text.split(' ')).expect(0).stdout());
        assert!(!typed.is_empty());
        assert_eq!(typed, meant);
    }
    banger(["help", "nonsense"]).expect(2).says("nonsense");
}
