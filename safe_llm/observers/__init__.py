"""Those who are told what happened: logging, metrics, progress. None of them can delay a call."""
