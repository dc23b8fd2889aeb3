"""Names of files and folders in a run folder and in a study folder."""

FORMAT = 1
"""Format of JSON documents and checkpoints; documents without one have format 0."""

# A run folder.
ARGS = "args.yaml"
SETTINGS = "resolved.yaml"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
BEST = "best.safetensors"
STUDENT = "model.safetensors"
CONFUSION = "confusion.json"
IMAGE_COUNTS = "confusion_images.npz"
PREDICTIONS = "predictions"
RESULT = "result.json"
COST = "cost.json"
FURTHER_COUNTS = "further_counts.json"
SHIFT_SCORES = "shifts.json"
FAILED = "failed.json"
PRUNED = "pruned.json"
REPLAY = "replay.pt"
METRICS_TABLE = "results.csv"
METRICS_PICTURE = "results.png"
CONFUSION_PICTURE = "confusion_matrix.png"
LOGS = "logs"
TENSORBOARD = "tensorboard"
MLFLOW = "mlflow.db"
EXPORT = "student"  # followed by the suffix of the format

# A study folder. Its runs are search/PAIR/trial-N/METHOD and final/PAIR/seed-N/METHOD; those of
# searches after the first are in search/PAIR/repeat-N/trial-N/METHOD.
STUDY = "study.yaml"
MEASURED = "measured.json"
PLAN = "plan.json"
SEARCH = "search"
TRIAL = "trial-"
REPEAT = "repeat-"
SUGGESTED = "suggested.json"
TRIALS = "trials.jsonl"
CHOSEN = "chosen.json"
FINAL = "final"
OWN_TEACHERS = "own_teachers"  # followed by the pair
SEED = "seed-"
EXTENSIONS = "extensions.jsonl"
SUPERSEDED = "superseded"  # runs of values that a longer search no longer chooses
STUDY_RESULTS = "results.json"
RESULTS_TABLE = "results.csv"
RESULTS_LATEX = "results.tex"

# The folder of a search of students, whose other files are named as in a study's.
STUDENT_SEARCH = "search.yaml"
TIMED = "timed.jsonl"
TOGETHER = "together.json"

# Any of them.
IDENTITY = "identity.json"
LOCK = ".writing.lock"
REPORT = "report.html"
ANALYSES = "analyses"

WRITTEN_INTO = (
    *(CHECKPOINTS, LOGS, TENSORBOARD, PREDICTIONS, ANALYSES),
    *(SEARCH, FINAL, OWN_TEACHERS, SUPERSEDED),
)
"""Folders of a run or study."""

ADDED_TO = (METRICS, TRIALS, EXTENSIONS, TIMED, MLFLOW)
"""Files that are written line by line, or by a logger, and not replaced as a whole."""
