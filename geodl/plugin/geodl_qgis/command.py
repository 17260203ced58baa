"""What the user has filled in, as arguments of the geodl command. Knows nothing of QGIS."""

# Parameter of the algorithm, and the option that it becomes.
READING = (
    ("BANDS", "--bands"),
    ("SCALE", "--scale"),
    ("SENSOR", "--sensor"),
    ("RESAMPLE", "--resample"),
    ("CRS", "--crs"),
)
RUNNING = (
    ("DEVICE", "--device"),
    ("MEMORY", "--memory"),
    ("PRODUCTS", "--products"),
    ("PROBABILITIES", "--probabilities"),
)
PAIRING = (("COREGISTER", "--coregister"), ("NORMALISE", "--normalise"), ("DATES", "--dates"))
VECTOR = (
    ("TASK", "--task"),
    ("CONFIDENCE", "--confidence"),
    ("SIMPLIFY", "--simplify"),
    ("MIN_AREA", "--min-area"),
    ("REGULARIZE", "--regularize"),
    ("CLASS", "--class"),
    ("THRESHOLD", "--threshold"),
    ("OUTPUT", "--out"),
)
ASSESSING = (
    ("REFERENCE", "--reference"),
    ("ATTRIBUTE", "--attribute"),
    ("MAPPING", "--mapping"),
    ("BACKGROUND", "--background"),
    ("BOUNDARY", "--boundary"),
    ("LAYER", "--layer"),
    ("REFERENCE_LAYER", "--reference-layer"),
    ("JSON", "--json"),
    ("PNG", "--png"),
)
TRAINING = (("OUTPUT", "--out"), ("DEVICE", "--device"), ("CACHE", "--cache"), ("RESTART", "--restart"))

TASKS = ("landcover", "buildings", "roads", "change")
PRODUCTS = ("map", "confidence", "entropy", "novelty", "vectors", "project", "page")
DEVICES = ("auto", "cpu", "cuda")
REGULARIZE = ("", "off", "gentle", "strict")  # empty: as the task has it
COREGISTER = ("off", "shift", "field")
NORMALISE = ("off", "histogram", "pif", "irmad")


def options(values, table):
    """Return the options that a table makes of values; what was left empty is left out.

    Parameters
    ----------
    values : dict
        By parameter: text, number, truth value, sequence of texts, or None.
    table : sequence of tuple
        Rows of `READING` and the like.

    Examples
    --------
    >>> options({"BANDS": "red,green", "RESAMPLE": 10.0, "SENSOR": ""}, READING)
    ['--bands=red,green', '--resample=10']
    """
    found = []
    for name, option in table:
        value = values.get(name)
        if isinstance(value, (list, tuple)):
            value = ",".join(value)
        if value is None or value is False or value == "":
            continue
        # One argument, so that a value that begins with a dash is not taken for an option.
        found.append(option if value is True else f"{option}={_text(value)}")
    return found


def _text(value):
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def predict(values):
    """Return the arguments of ``geodl predict`` for one scene, or for two dates."""
    scenes = [values["BEFORE"], values["AFTER"]] if "BEFORE" in values else [values["SCENE"]]
    whole = (("MODEL", "--model"), ("OUTPUT", "--out"), *READING, *PAIRING, *RUNNING)
    return ["predict", *options(values, whole), "--", *scenes]


def vectorize(values):
    """Return the arguments of ``geodl vectorize``."""
    return ["vectorize", *options(values, VECTOR), "--", values["RASTER"]]


def assess(values):
    """Return the arguments of ``geodl assess``."""
    return ["assess", *options(values, ASSESSING), "--", values["MAP"]]


def train(values):
    """Return the arguments of ``geodl train``."""
    return ["train", *options(values, TRAINING), "--", values["RECIPE"]]
