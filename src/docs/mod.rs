//! The long documents, as pages of the API documentation, so that their links are checked. No code lives here.

macro_rules! pages {
    ($($(#[doc = $text:expr])+ $name:ident;)+) => {
        $($(#[doc = $text])+ pub mod $name {})+
    };
}

pages! {
    #[doc = include_str!("architecture.md")]
    architecture;
    #[doc = include_str!("exit_codes.md")]
    exit_codes;
    #[doc = include_str!("safety.md")]
    safety;
    #[doc = include_str!("writing_a_fault.md")]
    writing_a_fault;
    #[doc = include_str!("timing.md")]
    timing;
    #[doc = include_str!("data.md")]
    data;
    #[doc = include_str!("journal.md")]
    journal;
    #[doc = include_str!("playbooks.md")]
    playbooks;
    #[doc = include_str!("command_workload.md")]
    command_workload;
    #[doc = include_str!("performance.md")]
    performance;
    #[doc = include_str!("reports.md")]
    reports;
    #[doc = include_str!("statistics.md")]
    statistics;
    #[doc = include_str!("continuous_integration.md")]
    continuous_integration;
}

/// Choices that differ from what a reader would expect, with their reasons. One file each, numbered, never rewritten:
/// a later one may replace an earlier one and says so.
pub mod decisions {
    pages! {
        #[doc = include_str!("decisions/001_the_yaml_crate.md")]
        d001_the_yaml_crate;
        #[doc = include_str!("decisions/002_healing_in_process.md")]
        d002_healing_in_process;
        #[doc = include_str!("decisions/003_a_store_of_our_own.md")]
        d003_a_store_of_our_own;
        #[doc = include_str!("decisions/004_unknown_is_an_outcome.md")]
        d004_unknown_is_an_outcome;
        #[doc = include_str!("decisions/005_tests_read_the_sources.md")]
        d005_tests_read_the_sources;
        #[doc = include_str!("decisions/006_a_guardian_without_a_stand_in.md")]
        d006_a_guardian_without_a_stand_in;
        #[doc = include_str!("decisions/007_a_fault_on_several_targets_is_several_faults.md")]
        d007_a_fault_on_several_targets_is_several_faults;
        #[doc = include_str!("decisions/008_rules_in_a_namespace.md")]
        d008_rules_in_a_namespace;
        #[doc = include_str!("decisions/009_a_proxy_of_our_own.md")]
        d009_a_proxy_of_our_own;
        #[doc = include_str!("decisions/010_a_file_system_that_passes_through.md")]
        d010_a_file_system_that_passes_through;
        #[doc = include_str!("decisions/011_a_docker_client_of_our_own.md")]
        d011_a_docker_client_of_our_own;
        #[doc = include_str!("decisions/012_the_sampler_engine.md")]
        d012_the_sampler_engine;
        #[doc = include_str!("decisions/013_ledger.md")]
        d013_ledger;
        #[doc = include_str!("decisions/014_export.md")]
        d014_export;
        #[doc = include_str!("decisions/017_vantage_points.md")]
        d017_vantage_points;
        #[doc = include_str!("decisions/019_prefixes.md")]
        d019_prefixes;
        #[doc = include_str!("decisions/016_fingerprints.md")]
        d016_fingerprints;
        #[doc = include_str!("decisions/018_write_each.md")]
        d018_write_each;
    }
}
