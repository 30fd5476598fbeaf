//! What a run can say happened: the contract of exec, journal, analysis and report.
