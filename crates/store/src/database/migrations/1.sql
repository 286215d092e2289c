-- What is the same for all names of an image: it goes by what its files were made of.
CREATE TABLE image (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    managed        INTEGER NOT NULL CHECK (managed IN (0, 1)),
    -- Paths of a managed image are those below its own directory; others are absolute.
    rootfs         TEXT    NOT NULL,
    size           INTEGER NOT NULL CHECK (size >= 0),
    allocated      INTEGER NOT NULL CHECK (allocated >= 0),
    content_id     TEXT,
    boot_mode      TEXT,
    boot_why       TEXT,
    kernel_version TEXT,
    kernel_digest  TEXT,
    kernel_image   TEXT,
    kernel_initrd  TEXT,
    kernel_modules TEXT,
    CHECK ((boot_mode IS NULL) = (boot_why IS NULL)),
    CHECK ((kernel_digest IS NULL) = (kernel_image IS NULL)),
    CHECK (kernel_image IS NOT NULL
           OR (kernel_version IS NULL AND kernel_initrd IS NULL AND kernel_modules IS NULL))
) STRICT, WITHOUT ROWID;

-- An image's names, and how it came to each.
CREATE TABLE image_name (
    name           TEXT    NOT NULL PRIMARY KEY,
    id             TEXT    NOT NULL REFERENCES image (id),
    source         TEXT    NOT NULL,
    digest         TEXT,
    platform       TEXT,
    kernel_name    TEXT,
    created        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX image_name_by_id ON image_name (id);

CREATE TABLE kernel (
    name           TEXT    NOT NULL PRIMARY KEY,
    version        TEXT,
    architecture   TEXT    NOT NULL,
    format         TEXT    NOT NULL,
    digest         TEXT    NOT NULL,
    size           INTEGER NOT NULL CHECK (size >= 0),
    source         TEXT    NOT NULL,
    created        TEXT    NOT NULL,
    -- Paths below the kernel's own directory.
    image          TEXT    NOT NULL,
    initrd         TEXT,
    modules        TEXT
) STRICT, WITHOUT ROWID;

-- Written after a commit that failed, and before files without a row are removed: see `Database::settle`.
CREATE TABLE settled (
    one            INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    times          INTEGER NOT NULL
) STRICT;

INSERT INTO settled VALUES (1, 0);
