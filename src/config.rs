//! Environments, allowed targets and guard rails from the configuration file.
