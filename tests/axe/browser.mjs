// A headless Chromium on a pipe: commands of the DevTools protocol, one JSON text after another with a NUL between. No
// port is opened and nothing is downloaded.
import { spawn } from "node:child_process";

const FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
  "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-default-apps", "--remote-debugging-pipe",
];

export class Browser {
  constructor(program, profile) {
    this.child = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    this.waiting = new Map();
    this.listeners = new Set();
    this.next = 1;
    let rest = Buffer.alloc(0);
    this.child.stdio[4].on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        this.#heard(JSON.parse(rest.subarray(0, end).toString()));
        rest = rest.subarray(end + 1);
      }
    });
    this.child.on("exit", () => this.waiting.forEach(({ fail }) => fail(new Error("the browser ended"))));
    this.child.on("error", (error) => this.waiting.forEach(({ fail }) => fail(error)));
  }

  #heard(message) {
    const asked = this.waiting.get(message.id);
    if (!asked) {
      this.listeners.forEach((listener) => listener(message));
      return;
    }
    this.waiting.delete(message.id);
    if (message.error) asked.fail(new Error(`${asked.method}: ${message.error.message}`));
    else asked.done(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.next++;
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail, method });
      this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  // A tab that tells what it asks the network for, and what its policy refuses.
  async tab() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, sessionId);
    for (const domain of ["Page", "Runtime", "Network", "Log", "Audits"]) await tab.send(`${domain}.enable`);
    return tab;
  }

  async close() {
    const gone = new Promise((done) => this.child.once("exit", done));
    this.send("Browser.close").catch(() => {});
    const patience = setTimeout(() => this.child.kill("SIGKILL"), 5000);
    await gone;
    clearTimeout(patience);
  }
}

class Tab {
  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
    this.requests = [];
    this.complaints = [];
    this.loaded = () => {};
    browser.listeners.add((message) => message.sessionId === session && this.#heard(message));
  }

  #heard({ method, params }) {
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Audits.issueAdded") this.complaints.push(params.issue.code);
    if (method === "Log.entryAdded" && params.entry.level === "error") this.complaints.push(params.entry.text);
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.text);
    if (method === "Page.loadEventFired") this.loaded();
  }

  send(method, params = {}) {
    return this.browser.send(method, params, this.session);
  }

  async open(url) {
    const loaded = new Promise((done) => (this.loaded = done));
    this.requests = [];
    this.complaints = [];
    await this.send("Page.navigate", { url });
    await loaded;
  }

  // What an expression comes to in the page; its promises are waited for.
  async evaluate(expression) {
    const wanted = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", wanted);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  async screen(width, height, scheme) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { media: "", features });
  }

  async paper(width) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height: 1017, deviceScaleFactor: 1, mobile: false });
    await this.send("Emulation.setEmulatedMedia", { media: "print", features: [] });
  }
}
