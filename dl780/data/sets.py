"""The data sets, as a table: where each lies, what stands in for it, and where it can be had."""

from dataclasses import dataclass, field

from dl780 import UserError
from dl780.data import cifar


@dataclass(frozen=True)
class Remote:
    """A file to fetch: its name at every mirror, its size, and the md5 that its publisher states."""

    name: str
    bytes: int
    md5: str


@dataclass(frozen=True)
class DataSet:
    """A row. An embedded set has no `places`; a set without `embedded` has no stand-in."""

    title: str
    pictures: str = ""  # of train, with those that validate, and of test
    classes: tuple[str, ...] = ()
    embedded: str = ""  # what `auto` takes where the set itself is not found
    places: tuple[str, ...] = ()  # below $DL780_DATA and ./data, the first of them is where `get` and `import` write
    elsewhere: tuple[str, ...] = ()  # paths from /
    contents: tuple[str, ...] = ()  # md5 of the originals, unzipped, in the order of idx.FILES
    mirrors: tuple[str, ...] = ()
    files: tuple[Remote, ...] = field(default=(), repr=False)
    debian: str = ""  # a package that holds it

    @property
    def bytes(self) -> int:
        """What there is to fetch."""
        return sum(file.bytes for file in self.files)


SETS = {
    "digits": DataSet("handwritten digits 8×8", "1,442 + 355", embedded="digits"),
    "mnist": DataSet(
        "MNIST",
        "60,000 + 10,000",
        classes=tuple("0123456789"),
        embedded="mnist-5k",
        places=("MNIST/raw", "mnist", "MNIST"),
        contents=(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        files=(
            Remote("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            Remote("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
            Remote("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
            Remote("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    ),
    "fashion-mnist": DataSet(
        "Fashion-MNIST",
        "60,000 + 10,000",
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        embedded="mnist-5k",
        places=("FashionMNIST/raw", "fashion-mnist", "FashionMNIST"),
        elsewhere=("/usr/share/datasets/fashion-mnist",),
        contents=(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        files=(
            Remote("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            Remote("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            Remote("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            Remote("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        debian="dataset-fashion-mnist",
    ),
    "cifar10": DataSet(
        "CIFAR-10",
        "50,000 + 10,000",
        classes=cifar.CLASSES,
        embedded="shapes",
        places=("cifar-10-batches-py", "cifar10", "cifar-10-batches-bin"),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        files=(Remote("cifar-10-python.tar.gz", 170_498_071, "c58f30108f718f92721af3b95e74349a"),),
    ),
    "imagefolder": DataSet("image folder", "any"),
    "shapes": DataSet("coloured shapes with captions", "9,000 + 2,000", embedded="shapes"),
}


def named(name: str) -> DataSet:
    """A row of the table. Raises `UserError`."""
    if name not in SETS:
        raise UserError(f"there is no data set {name!r}; there are: {', '.join(SETS)}")
    return SETS[name]


def whose(contents: tuple[str, ...]) -> str | None:
    """The set that four IDX files are, by their content: MNIST and Fashion-MNIST share all names and sizes."""
    return next((name for name, row in SETS.items() if row.contents == contents), None)
