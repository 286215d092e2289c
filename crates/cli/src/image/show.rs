//! `banger image show`

use banger_api::Service;
use banger_api::image::ImageDetails;

use super::{kernel_of, place};
use crate::args::ImageShow;
use crate::failure::Failure;
use crate::output::{json, print};
use crate::text::{Bytes, Line, Moment};

pub(super) fn run(show: &ImageShow, service: &dyn Service) -> Result<(), Failure> {
    let details = service.image_show(&show.image)?;
    if show.json { print(&json(&details)?) } else { print(&text(&details)) }
}

fn text(details: &ImageDetails) -> String {
    let image = &details.image;
    let kernel = image.kernel.as_ref();
    let path = |path: &std::path::Path| path.display().to_string();
    let lines = [
        ("name", Some(image.name.clone()).filter(|name| *name != image.id)),
        ("id", Some(image.id.clone())),
        ("source", Some(image.source.clone())),
        ("digest", image.digest.clone()),
        ("platform", image.platform.clone()),
        ("boot mode", image.boot.as_ref().map(|boot| format!("{}: {}", boot.mode, boot.why))),
        ("kernel", kernel_of(image)),
        ("size", Some(format!("{}, {} on disk{}", Bytes(image.size), Bytes(image.allocated), place(image)))),
        ("created", Some(Moment(&image.created).to_string())),
        ("managed", Some(if image.managed { "yes" } else { "no: its files are somebody else's" }.to_owned())),
        ("shared with", Some(details.shared_with.join(", ")).filter(|names| !names.is_empty())),
        ("content id", image.content_id.clone()),
        ("rootfs", Some(path(&image.rootfs))),
        ("kernel file", kernel.map(|kernel| path(&kernel.image))),
        ("initrd", kernel.and_then(|kernel| kernel.initrd.as_deref()).map(path)),
        ("modules", kernel.and_then(|kernel| kernel.modules.as_deref()).map(path)),
    ];
    facts(&lines)
}

/// Lines of a name and what it stands for, one below the other.
pub(crate) fn facts(lines: &[(&str, Option<String>)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let shown = lines.iter().filter_map(|(name, value)| Some(format!("{name:width$}  {}", Line(value.as_ref()?))));
    shown.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::image;

    #[test]
    fn what_is_not_known_has_no_line() {
        let mut details = ImageDetails {
            image: image("web"),
            shared_with: Vec::new(),
            history: Vec::new(),
            request: None,
            config: None,
        };
        let shown = text(&details);
        assert!(shown.starts_with("name         web\nid           aaaa"), "{shown}");
        assert!(shown.contains("\nkernel       linux-6.1 (6.1.0-18)\n"), "{shown}");
        assert!(!shown.contains("shared with") && !shown.contains("content id"), "{shown}");
        details.shared_with = vec!["a".to_owned(), "b".to_owned()];
        details.image.source = "x\nforged  line".to_owned();
        let shown = text(&details);
        assert!(
            shown.contains("\nshared with  a, b\n") && shown.contains("\nsource       x\\nforged  line\n"),
            "{shown}"
        );
    }
}
