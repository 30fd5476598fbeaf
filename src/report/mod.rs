//! Pure renderings of an analysis: one file per format.
