// Opens pages of the report in a headless Chromium and says, as JSON, what a user, an auditor and an attacker would see.
//
//   node check.mjs CHROMIUM PROFILE AXE.min.js N:PAGE...
//
// N is on how many of the screens the page is also checked with axe-core, which takes a second each.
// Nothing is judged here: the caller decides what is wrong.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { Browser } from "./browser.mjs";

const [program, profile, axeFile, ...pages] = process.argv.slice(2);
const axe = readFileSync(axeFile, "utf8");
const SCREENS = [
  ["desktop light", 1280, 900, "light"], ["phone dark", 390, 844, "dark"],
  ["desktop dark", 1280, 900, "dark"], ["phone light", 390, 844, "light"],
];

const inPage = {
  // What the document is made of, and whatever could run or load something.
  dom: () => {
    const all = [...document.querySelectorAll("*")];
    const names = (of) => [...new Set(of)].sort();
    return {
      elements: names(all.map((e) => e.localName)),
      attributes: names(all.flatMap((e) => e.getAttributeNames())),
      ids: all.filter((e) => e.id).length - new Set(all.filter((e) => e.id).map((e) => e.id)).size,
      text: document.body.textContent,
      headings: [...document.querySelectorAll("h1,h2,h3,h4")].map((e) => Number(e.localName[1])),
      undescribed: all.filter((e) => e.localName === "svg" && e.getAttribute("role") === "img"
        && !(e.querySelector(":scope > title")?.textContent)).length,
      figures: all.filter((e) => e.localName === "figure").length,
      tables: all.filter((e) => e.localName === "figure" && e.querySelector("table")).length,
    };
  },
  // How wide it is, and which labels of charts lie over one another or beside the paper.
  layout: () => {
    const shown = [...document.querySelectorAll("svg.chart")].filter((svg) => svg.getBoundingClientRect().width > 0);
    const clashes = [];
    for (const svg of shown) {
      const paper = svg.getBoundingClientRect();
      const labels = [...svg.querySelectorAll("text")].map((e) => [e.textContent, e.getBoundingClientRect()]);
      labels.forEach(([text, box], i) => {
        if (box.left < paper.left - 1 || box.right > paper.right + 1) clashes.push(`${text} | beside the paper`);
        for (const [other, over] of labels.slice(i + 1)) {
          const wide = Math.min(box.right, over.right) - Math.max(box.left, over.left);
          const high = Math.min(box.bottom, over.bottom) - Math.max(box.top, over.top);
          if (wide > 2 && high > 4) clashes.push(`${text} | ${other}`);
        }
      });
    }
    const root = document.documentElement;
    return { wide: root.scrollWidth, screen: window.innerWidth, charts: shown.length, clashes };
  },
  // On A4 with margins of 14 mm at 96 dots an inch: what would be cut.
  paper: () => {
    const box = (e) => e.getBoundingClientRect();
    const tall = [...document.querySelectorAll("svg, .card, dl div")].filter((e) => box(e).height > 1017).length;
    const over = [...document.querySelectorAll("table, svg, pre, p, li, dd")].filter((e) => box(e).right > 689);
    return { tall, over: over.map((e) => `${e.localName} ${Math.round(box(e).right)} ${e.textContent.slice(0, 60)}`) };
  },
};
const call = (f) => `(${f.toString()})()`;

async function axeOn(tab) {
  await tab.evaluate(`${axe};0`);
  return tab.evaluate(`axe.run(document, { resultTypes: ["violations"] }).then((r) =>
    r.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")))`);
}

async function pdfOf(tab) {
  const wanted = { preferCSSPageSize: true, printBackground: true, generateTaggedPDF: true };
  const { data } = await tab.send("Page.printToPDF", wanted);
  const pdf = Buffer.from(data, "base64").toString("latin1");
  return {
    tagged: /\/MarkInfo\s*<<[^>]*\/Marked true/.test(pdf) && pdf.includes("/StructTreeRoot"),
    language: pdf.includes("/Lang (en)"),
    tags: ["H1", "H2", "Table", "TH", "TD", "Figure", "L"].filter((tag) => new RegExp(`/S /${tag}\\b`).test(pdf)),
    sizes: [...new Set([...pdf.matchAll(/\/MediaBox \[([^\]]*)\]/g)].map((m) => m[1]))],
    pages: [...pdf.matchAll(/\/Type \/Page\b/g)].length,
  };
}

async function look(tab, file, most) {
  const seen = { screens: {} };
  await tab.screen(1280, 900, "light");
  await tab.open(pathToFileURL(file).href);
  seen.dom = await tab.evaluate(call(inPage.dom));
  for (const [i, [name, width, height, scheme]] of SCREENS.entries()) {
    await tab.screen(width, height, scheme);
    const layout = await tab.evaluate(call(inPage.layout));
    const paper = await tab.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    seen.screens[name] = { ...layout, paper, axe: i < most ? await axeOn(tab) : [] };
  }
  await tab.paper(688);
  seen.paper = await tab.evaluate(call(inPage.paper));
  await tab.send("Emulation.clearDeviceMetricsOverride");
  seen.pdf = await pdfOf(tab);
  seen.requests = tab.requests.filter((url) => url !== pathToFileURL(file).href);
  seen.complaints = tab.complaints;
  return seen;
}

const browser = new Browser(program, profile);
const told = {};
try {
  const tab = await browser.tab();
  for (const page of pages) {
    const [, most, file] = page.match(/^(\d):(.*)$/s);
    told[file] = await look(tab, file, Number(most));
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(told));
