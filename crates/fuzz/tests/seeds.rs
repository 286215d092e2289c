//! Every seed passes its check: what `make fuzz` starts from is what it should be.

use std::path::Path;

#[test]
fn seeds_pass() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, check) in banger_fuzz::CHECKS {
        // Seeds of binary formats are made by scripts/fuzz.sh.
        let Ok(seeds) = std::fs::read(directory.join(name).with_extension("txt")) else { continue };
        for seed in seeds.split(|&byte| byte == b'\n') {
            check(seed);
        }
        check(&seeds);
    }
}
