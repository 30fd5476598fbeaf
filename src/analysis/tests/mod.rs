//! Records made by hand and what must come out of them, number by number.

mod builder;
mod formulas;
mod ledgers;
mod restores;
mod sites;
mod vantages;
mod verdicts;
