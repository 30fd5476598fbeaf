//! Frameworks and the controls of theirs that a drill bears on. Titles and summaries are our own words, not the
//! frameworks'; the text that counts is theirs.

/// A framework: a standard, a law, an audit scheme.
#[derive(Debug)]
pub struct Framework {
    /// As playbooks write it.
    pub id: &'static str,
    /// Its name.
    pub title: &'static str,
    /// The controls that a drill bears on; none: any id is taken as it is, and what it asks for is not known here.
    pub controls: &'static [Control],
}

/// A control.
#[derive(Debug)]
pub struct Control {
    /// As playbooks write it, after the framework and a slash.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// What a drill shows of it.
    pub summary: &'static str,
    /// The fields of the evidence that matter most for it, by number, ascending.
    pub fields: &'static [u8],
}

const fn framework(id: &'static str, title: &'static str, controls: &'static [Control]) -> Framework {
    Framework { id, title, controls }
}

const fn control(id: &'static str, title: &'static str, summary: &'static str, fields: &'static [u8]) -> Control {
    Control { id, title, summary, fields }
}

/// All frameworks, by id.
pub const FRAMEWORKS: &[Framework] = &[
    framework("bsi-200-4", "BSI-Standard 200-4, business continuity management", &[]),
    framework("cis", "CIS Critical Security Controls", &[]),
    framework("cobit", "COBIT", &[]),
    framework("dora", "EU Digital Operational Resilience Act, with RTS 2024/1774", DORA),
    framework("fedramp", "FedRAMP", FEDRAMP),
    framework("ffiec", "FFIEC, business continuity management", &[]),
    framework("hipaa", "HIPAA Security Rule", HIPAA),
    framework("iso-22301", "ISO 22301:2019, business continuity", ISO_22301),
    framework("iso-27001", "ISO/IEC 27001:2022, annex A", ISO_27001),
    framework("iso-27017", "ISO/IEC 27017", &[]),
    framework("iso-27031", "ISO/IEC 27031", &[]),
    framework("nis2", "EU NIS 2 directive", &[]),
    framework("nist-800-34", "NIST SP 800-34 Rev. 1, contingency planning", NIST_800_34),
    framework("nist-800-53", "NIST SP 800-53 Rev. 5", NIST_800_53),
    framework("nist-800-84", "NIST SP 800-84, tests and exercises", NIST_800_84),
    framework("nist-csf", "NIST Cybersecurity Framework", &[]),
    framework("pci-dss", "PCI DSS 4", PCI_DSS),
    framework("soc2", "SOC 2, trust services criteria", SOC2),
    framework("sox", "Sarbanes-Oxley Act, general IT controls", &[]),
    framework("tisax", "TISAX", &[]),
];

const DORA: &[Control] = &[
    control(
        "Art.11",
        "response and recovery",
        "continuity plans exist, are put into practice and are tested",
        &[3, 5, 6, 7, 10, 13, 14, 22, 24],
    ),
    control(
        "Art.11(6)",
        "testing of continuity plans",
        "plans are tested at least once a year and after substantial changes, switchover and vendors included",
        &[5, 6, 7, 10, 13, 14, 16, 19, 22, 24, 27],
    ),
    control(
        "Art.11(8)",
        "records of disruptions",
        "what was done before and during a disruption can be read afterwards",
        &[10, 12, 22, 24, 29],
    ),
    control(
        "Art.12",
        "backup, restoration and recovery",
        "data are restored on systems apart from the source, within their objectives, and reconciled",
        &[5, 10, 13, 14, 17, 18, 19, 22, 24],
    ),
    control(
        "Art.24",
        "testing of operational resilience",
        "a programme of tests in which what is found is followed up",
        &[4, 5, 6, 10, 22, 24, 27],
    ),
    control(
        "Art.25",
        "testing of tools and systems",
        "scenario-based and end-to-end tests among others; not threat-led penetration testing",
        &[5, 6, 10, 12, 13, 15, 22, 24],
    ),
    control(
        "RTS-2024-1774-Art.24",
        "components of the continuity policy",
        "recovery objectives for functions, and that they are kept; two hours for some entities",
        &[3, 5, 13, 14],
    ),
    control(
        "RTS-2024-1774-Art.25",
        "tests of continuity plans",
        "a switchover to the other site, operation there for a sufficient period, and the way back",
        &[5, 6, 7, 8, 10, 13, 14, 16, 18, 19, 22, 24],
    ),
    control(
        "RTS-2024-1774-Art.26",
        "response and recovery plans",
        "plans for scenarios of the short and the long term, with what sets them off",
        &[3, 5, 6, 10, 13, 17, 22, 24],
    ),
];

const FEDRAMP: &[Control] = &[
    control(
        "CP-4",
        "contingency plan test report",
        "a test of the plan with its results, for the authorization package",
        &[3, 4, 10, 13, 14, 22, 24, 27, 28, 29],
    ),
    control(
        "KSI-RPL",
        "recovery planning",
        "recovery objectives are stated, what exists is aligned with them, and they are tested persistently",
        &[3, 13, 14, 27, 28, 29],
    ),
];

const HIPAA: &[Control] = &[
    control(
        "164.308(a)(7)",
        "contingency plan",
        "an answer to emergencies that damage systems with health information",
        &[4, 8, 10, 13, 21, 22, 24, 27],
    ),
    control("164.308(a)(7)(ii)(A)", "data backup plan", "exact copies can be had back", &[14, 17, 18]),
    control(
        "164.308(a)(7)(ii)(B)",
        "disaster recovery plan",
        "what was lost is restored",
        &[4, 8, 10, 13, 14, 17, 21, 22, 24],
    ),
    control(
        "164.308(a)(7)(ii)(D)",
        "testing and revision",
        "plans are tested from time to time and revised",
        &[4, 8, 10, 21, 22, 24, 27],
    ),
];

const ISO_22301: &[Control] = &[
    control(
        "8.5",
        "exercise programme",
        "exercises over time that validate strategies, each with a formal report on outcomes and improvements",
        &[3, 4, 6, 8, 22, 24, 25, 26, 27],
    ),
    control(
        "8.6",
        "evaluation of documentation and capabilities",
        "after exercises and incidents it is judged whether plans still fit",
        &[22, 24, 25, 26, 27],
    ),
];

const ISO_27001: &[Control] = &[
    control(
        "A.5.28",
        "collection of evidence",
        "evidence is gathered and kept so that it can be believed",
        &[1, 28, 29, 30],
    ),
    control(
        "A.5.29",
        "security during disruption",
        "security holds at its level while service is degraded",
        &[3, 13, 20, 24],
    ),
    control(
        "A.5.30",
        "readiness for continuity",
        "recovery objectives are set, and tests show that they are met",
        &[3, 13, 14, 24, 27, 29],
    ),
    control("A.5.33", "protection of records", "records are kept from loss, change and forgery", &[29, 30]),
    control("A.8.13", "backup", "backups exist and are restored regularly as a test", &[3, 14, 17, 18, 27]),
    control("A.8.14", "redundancy", "what is redundant takes over as it should", &[3, 13, 15, 16, 27]),
    control("A.8.16", "monitoring", "that something is wrong is noticed, and soon enough", &[15, 21]),
];

const NIST_800_34: &[Control] = &[control(
    "3.5",
    "testing, training and exercises",
    "what a test of a contingency plan covers, and what is written down of it",
    &[3, 5, 8, 10, 16, 19, 21, 22, 24, 25],
)];

const NIST_800_53: &[Control] = &[
    control("CP-2", "contingency plan", "recovery objectives, roles and the way back are planned", &[3, 5, 8, 9]),
    control(
        "CP-4",
        "contingency plan testing",
        "the plan is tested at the frequency that was set, results are reviewed, deficiencies corrected",
        &[3, 4, 9, 10, 22, 24, 27, 31],
    ),
    control(
        "CP-4(1)",
        "coordinated testing",
        "with those who are responsible for related plans",
        &[3, 4, 7, 8, 9, 10, 22, 24, 27],
    ),
    control(
        "CP-4(2)",
        "testing at the alternate site",
        "what runs there is tried, and people know it",
        &[4, 8, 10, 16, 19, 22, 24],
    ),
    control("CP-4(3)", "automated testing", "tests run without people, and so cover more", &[4, 10, 12, 27, 28, 31]),
    control(
        "CP-4(4)",
        "full recovery and reconstitution",
        "back to a known state, as a part of the test",
        &[4, 10, 16, 17, 18, 19, 22, 24],
    ),
    control(
        "CP-4(5)",
        "self-challenge",
        "the system is disturbed on purpose while it works: chaos experiments",
        &[4, 10, 15, 22, 24, 31],
    ),
    control("CP-6", "alternate storage site", "copies lie elsewhere and can be used from there", &[16, 17, 18]),
    control("CP-7", "alternate processing site", "work goes on elsewhere within its objective", &[3, 10, 13, 16, 19]),
    control("CP-9", "backup", "backups are made, kept safe, and hold what they should", &[10, 14, 17, 18]),
    control("CP-9(1)", "reliability and integrity of backups", "backups are tested", &[17, 18, 27]),
    control("CP-9(2)", "restoration from samples", "a part of the backup is restored as a test", &[17, 18, 19, 27]),
    control(
        "CP-10",
        "recovery and reconstitution",
        "back to a known state within the objectives",
        &[3, 10, 13, 14, 17, 18, 19],
    ),
    control("CP-10(2)", "recovery of transactions", "transactions are recovered", &[14, 17, 18]),
    control(
        "CP-10(4)",
        "restoration within a time",
        "components are restored within the time that was set",
        &[3, 13, 17],
    ),
    control(
        "IR-3",
        "testing of incident response",
        "that people and tools respond is tested",
        &[4, 8, 10, 21, 22, 24, 27],
    ),
    control("SC-24", "failure in a known state", "when it fails it fails into a known state", &[14, 18, 19]),
    control("SI-4", "monitoring", "that something is wrong is noticed", &[15, 21]),
    control("SI-7", "integrity of software and data", "what was changed without right is noticed", &[14, 18]),
];

const NIST_800_84: &[Control] = &[
    control(
        "after-action",
        "after-action report",
        "what an exercise showed, and what follows from it",
        &[3, 5, 8, 10, 12, 21, 22, 24, 25],
    ),
    control(
        "test-plan",
        "plan of a test",
        "scope, objectives, people and way back, before the test",
        &[3, 4, 5, 6, 8, 9, 16, 19],
    ),
];

const PCI_DSS: &[Control] = &[
    control(
        "12.10.1",
        "incident response plan",
        "with recovery and continuity procedures and backup among its parts",
        &[3, 8, 10, 12, 25],
    ),
    control("12.10.2", "yearly review and test", "every twelve months, all elements of the plan", &[3, 10, 12, 25, 27]),
];

const SOC2: &[Control] = &[
    control(
        "A1.2",
        "environment, backup and recovery infrastructure",
        "what availability needs is designed, run and watched",
        &[3, 13, 14, 15, 17, 18, 27],
    ),
    control(
        "A1.3",
        "tests of recovery",
        "recovery plans are tested: likely scenarios, vendors, absent people, integrity and completeness of backups",
        &[3, 6, 7, 8, 13, 14, 17, 18, 22, 24, 25],
    ),
    control("CC7.3", "evaluation of events", "what happened is noticed and weighed", &[10, 12, 21]),
    control("CC7.4", "response to incidents", "people respond as they planned to", &[8, 10, 12, 21, 22, 24]),
    control(
        "CC7.5",
        "recovery from incidents",
        "service is restored, causes are found, plans improved and tested",
        &[13, 14, 22, 23, 24, 25],
    ),
    control("CC9.1", "mitigation of disruptions", "risks of disruption are dealt with", &[3, 6, 13, 14, 24]),
    control("CC9.2", "vendors", "risks that come from vendors are dealt with", &[7, 22, 24]),
];
