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
    #[doc = include_str!("secrets.md")]
    secrets;
    #[doc = include_str!("retention.md")]
    retention;
    #[doc = include_str!("writing_a_fault.md")]
    writing_a_fault;
    #[doc = include_str!("timing.md")]
    timing;
    #[doc = include_str!("data.md")]
    data;
    #[doc = include_str!("postgres.md")]
    postgres;
    #[doc = include_str!("postgres_restore.md")]
    postgres_restore;
    #[doc = include_str!("patroni.md")]
    patroni;
    #[doc = include_str!("systems.md")]
    systems;
    #[doc = include_str!("redis.md")]
    redis;
    #[doc = include_str!("etcd.md")]
    etcd;
    #[doc = include_str!("files.md")]
    files;
    #[doc = include_str!("composite.md")]
    composite;
    #[doc = include_str!("mysql.md")]
    mysql;
    #[doc = include_str!("couchdb.md")]
    couchdb;
    #[doc = include_str!("s3.md")]
    s3;
    #[doc = include_str!("mongodb.md")]
    mongodb;
    #[doc = include_str!("rabbitmq.md")]
    rabbitmq;
    #[doc = include_str!("elasticsearch.md")]
    elasticsearch;
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
    #[doc = include_str!("reviews.md")]
    reviews;
    #[doc = include_str!("controls.md")]
    controls;
    #[doc = include_str!("sealing.md")]
    sealing;
    #[doc = include_str!("evidence.md")]
    evidence;
    #[doc = include_str!("statistics.md")]
    statistics;
    #[doc = include_str!("continuous_integration.md")]
    continuous_integration;
    #[doc = include_str!("history.md")]
    history;
    #[doc = include_str!("in_the_cluster.md")]
    in_the_cluster;
    #[doc = include_str!("kubernetes.md")]
    kubernetes;
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
        #[doc = include_str!("decisions/022_a_restore_is_believed_by_its_folder.md")]
        d022_a_restore_is_believed_by_its_folder;
        #[doc = include_str!("decisions/023_damaged_pages_are_not_put_back.md")]
        d023_damaged_pages_are_not_put_back;
        #[doc = include_str!("decisions/024_exposure_is_a_bound.md")]
        d024_exposure_is_a_bound;
        #[doc = include_str!("decisions/025_asking_postgres.md")]
        d025_asking_postgres;
        #[doc = include_str!("decisions/027_the_time_to_detect.md")]
        d027_the_time_to_detect;
        #[doc = include_str!("decisions/026_postmaster_pid.md")]
        d026_postmaster_pid;
        #[doc = include_str!("decisions/020_redis.md")]
        d020_redis;
        #[doc = include_str!("decisions/021_etcd.md")]
        d021_etcd;
        #[doc = include_str!("decisions/034_files_by_a_process.md")]
        d034_files_by_a_process;
        #[doc = include_str!("decisions/037_metadata_is_checked.md")]
        d037_metadata_is_checked;
        #[doc = include_str!("decisions/035_sealing.md")]
        d035_sealing;
        #[doc = include_str!("decisions/038_every_chart_is_drawn_twice.md")]
        d038_every_chart_is_drawn_twice;
        #[doc = include_str!("decisions/028_mysql.md")]
        d028_mysql;
        #[doc = include_str!("decisions/031_couchdb.md")]
        d031_couchdb;
        #[doc = include_str!("decisions/032_object_storage.md")]
        d032_object_storage;
        #[doc = include_str!("decisions/030_mongodb.md")]
        d030_mongodb;
        #[doc = include_str!("decisions/029_rabbitmq.md")]
        d029_rabbitmq;
        #[doc = include_str!("decisions/033_elasticsearch.md")]
        d033_elasticsearch;
        #[doc = include_str!("decisions/016_fingerprints.md")]
        d016_fingerprints;
        #[doc = include_str!("decisions/018_write_each.md")]
        d018_write_each;
        #[doc = include_str!("decisions/036_who_is_believed.md")]
        d036_who_is_believed;
        #[doc = include_str!("decisions/040_an_index_that_can_be_lost.md")]
        d040_an_index_that_can_be_lost;
        #[doc = include_str!("decisions/041_secrets_in_every_form.md")]
        d041_secrets_in_every_form;
        #[doc = include_str!("decisions/048_the_clock_of_a_vantage_elsewhere.md")]
        d048_the_clock_of_a_vantage_elsewhere;
        #[doc = include_str!("decisions/046_a_restore_is_no_fault.md")]
        d046_a_restore_is_no_fault;
        #[doc = include_str!("decisions/042_one_drill_per_namespace.md")]
        d042_one_drill_per_namespace;
        #[doc = include_str!("decisions/043_records_in_the_cluster.md")]
        d043_records_in_the_cluster;
        #[doc = include_str!("decisions/044_changes_of_ours_in_a_cluster.md")]
        d044_changes_of_ours_in_a_cluster;
        #[doc = include_str!("decisions/047_a_guardian_in_another_pod.md")]
        d047_a_guardian_in_another_pod;
        #[doc = include_str!("decisions/045_patches_that_hold_for_one_version.md")]
        d045_patches_that_hold_for_one_version;
    }
}
