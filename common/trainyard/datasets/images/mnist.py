"""MNIST and Fashion-MNIST: IDX files in the data directory, fetched into it where the network allows."""

from dataclasses import dataclass

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.local import local
from trainyard.datasets.sources.location import Location
from trainyard.errors import InvalidData

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Mirror:
    """Where the four files are published, and the MD5 of each as torchvision lists them."""

    address: str
    checksums: dict[str, str]


MIRRORS = {
    "mnist": Mirror(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion_mnist": Mirror(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}
NAMES = frozenset(MIRRORS)


def absent(name: str, access: DataAccess) -> list[str]:
    """The files that the data directory lacks, gzipped and not, by their gzipped names."""
    folder = access.data_dir / name
    return [
        file
        for file in MIRRORS[name].checksums
        if not any((folder / each).is_file() for each in _spellings(file))
    ]


def location(name: str, access: DataAccess) -> Location:
    """The folder in the data directory; it must be there."""
    folder = (access.data_dir / name).resolve()
    return local(folder, folder, name, "/data/name")


def fetched(name: str, access: DataAccess) -> Location:
    """The folder with all four files, the absent ones fetched first. Raises `InvalidData` where that fails.

    A fetched file must have its checksum; a file that lies there already is taken as it is.
    """
    import pooch

    folder = access.data_dir / name
    for file in absent(name, access):
        try:
            pooch.retrieve(
                MIRRORS[name].address + file,
                known_hash=f"md5:{MIRRORS[name].checksums[file]}",
                fname=file,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=PATIENCE_SECONDS),
            )
        except (OSError, ValueError) as error:
            wanted = ", ".join(MIRRORS[name].checksums)
            raise InvalidData(
                f"{file!r} of {name!r} could not be fetched from {MIRRORS[name].address} ({type(error).__name__}); put {wanted} into {folder}",
                "/data/name",
            ) from error
    return location(name, access)


def _spellings(file: str) -> list[str]:
    raw = file.removesuffix(".gz")
    return [file, raw, *(each.replace("-idx", ".idx") for each in (file, raw))]
