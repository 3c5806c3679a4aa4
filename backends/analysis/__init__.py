"""What the measurements of a run say: figures, verdict, predictions, warnings, comparisons of runs."""
