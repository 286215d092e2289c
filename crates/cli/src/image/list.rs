//! `banger image ls`

use banger_api::image::Image;

use super::{kernel_of, place, short};
use crate::args::{ImageLs, ServiceOptions};
use crate::failure::Failure;
use crate::output::print_list;
use crate::service;
use crate::table::Table;
use crate::text::{Bytes, Line, Moment};

pub(crate) fn list(ls: &ImageLs, options: &ServiceOptions) -> Result<(), Failure> {
    let images = service::open(options)?.image_list()?;
    let none = "there is no image yet: `banger pull debian:bookworm` makes one";
    print_list(&ls.output, &images, |image| &image.name, table, none)
}

fn table(images: &[Image]) -> Table<5> {
    let mut table = Table::new(["name", ">size", "kernel", "created", "source"]);
    for image in images {
        let name = Line(&image.name);
        table.row([
            match image.managed {
                true if image.name == image.id => format!("{} (replaced)", short(&image.id)),
                true => name.to_string(),
                false => format!("{name} (registered)"),
            },
            format!("{}{}", Bytes(image.allocated), place(image)),
            kernel_name(image),
            Moment(&image.created).to_string(),
            Line(&image.source).to_string(),
        ]);
    }
    table
}

/// Only the name of a kernel that has one: the version stands in `banger image show`.
fn kernel_name(image: &Image) -> String {
    let name = image.kernel.as_ref().and_then(|kernel| kernel.name.clone());
    Line(&name.or_else(|| kernel_of(image)).unwrap_or_else(|| "-".to_owned())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::image;

    #[test]
    fn a_row_has_what_tells_images_apart() {
        let mut registered = image("mine");
        (registered.managed, registered.kernel) = (false, None);
        registered.source = "/srv/disk\n.ext4".to_owned();
        let mut replaced = image("old");
        replaced.name.clone_from(&replaced.id);
        assert_eq!(
            table(&[image("web"), registered, replaced]).to_string(),
            "name                                     size  kernel     created           source\n\
             web                                 213.5 MiB  linux-6.1  2026-11-21 10:00  docker.io/library/web:latest\n\
             mine (registered)        213.5 MiB (external)  -          2026-11-21 10:00  /srv/disk\\n.ext4\n\
             aaaaaaaaaaaa (replaced)             213.5 MiB  linux-6.1  2026-11-21 10:00  docker.io/library/old:latest\n"
        );
    }
}
