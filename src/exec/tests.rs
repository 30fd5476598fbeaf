//! Whole drills on real processes: every way a run can end. Tests only.
