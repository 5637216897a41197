// Walks every page and action of a console: see ../../browser_test.go, which starts it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const base = process.env.CONSOLE;
const query = process.env.QUERY;
const target = process.env.TARGET;
const scripted = process.env.SCRIPT === "on";
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const url = (path) => base + path + (query ? (path.includes("?") ? "&" : "?") + query : "");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"],
  timeout: 300_000, // for a busy machine
});
const errors = [];
const watch = (page) => {
  page.on("console", (m) => { if (m.type() === "error") errors.push(`${page.url()}: ${m.text()}`); });
  page.on("pageerror", (e) => errors.push(`${page.url()}: ${e}`));
  page.on("request", (r) => {
    if (!r.url().startsWith(base)) errors.push(`${page.url()} asks for ${r.url()}`);
  });
  return page;
};
const context = await browser.newContext({
  javaScriptEnabled: scripted, viewport: { width: 1360, height: 900 },
});
const page = watch(await context.newPage());
page.setDefaultTimeout(300_000); // for a busy machine

// axe evaluates a page in a context of its own, which ignores the policy of the page.
const checks = await browser.newContext({ bypassCSP: true, viewport: { width: 1360, height: 900 } });
const axePage = await checks.newPage();
axePage.setDefaultTimeout(300_000);
const axe = async (markup, name) => {
  for (const [colorScheme, width] of [["light", 1360], ["dark", 360]]) {
    await axePage.emulateMedia({ colorScheme });
    await axePage.setViewportSize({ width, height: 900 });
    await axePage.goto(base + "/static/nothing");
    await axePage.setContent(markup.replace("<head>", `<head><base href="${base}/">`)
      .replace(/<script[^>]*><\/script>/, ""), { waitUntil: "load" });
    await axePage.evaluate(axeSource);
    const result = await axePage.evaluate(() => window.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      resultTypes: ["violations"],
    }));
    for (const v of result.violations) {
      errors.push(`${name} (${colorScheme}, ${width} px): ${v.id}: ${v.help}: ` +
        v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | "));
    }
    const wide = await axePage.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) errors.push(`${name} (${width} px) is ${wide} px too wide`);
  }
};

const seen = new Set();
const check = async (name) => {
  const heading = await page.locator("h1").first().textContent();
  console.log(`${name}: ${heading.trim()}`);
  // The customer's pages are checked, and those that only an operator has.
  if (!seen.has(name) && scripted && (!query || name === "operator")) {
    seen.add(name);
    await axe(await page.content(), name);
  }
};
const open = async (path, name = path) => {
  const answer = await page.goto(url(path));
  assert.equal(answer.status(), 200, path);
  await check(name);
};
const press = async (label, name, status = 200) => {
  const [answer] = await Promise.all([
    page.waitForResponse((r) => r.request().isNavigationRequest() && r.status() < 300 || r.status() >= 400),
    page.locator("main").getByRole("button", { name: label }).or(
      page.locator("main").getByRole("link", { name: label })).first().click(),
  ]);
  await page.waitForLoadState();
  assert.equal(answer.status(), status, label);
  await check(name ?? label);
};
const notice = async (text) =>
  assert.match(await page.locator(".notice").textContent(), new RegExp(text));

await open("/", "overview");
await open("/?range=7d", "overview of a week");
if (query) {
  await page.goto(base + "/");
  await check("operator");
  await page.getByLabel("Organization", { exact: true }).fill(query.split("=")[1]);
  await press("Open", "opened");
}

// Create a subscription, with a mistake first.
await open("/subscriptions", "subscriptions");
await press("New subscription", "new");
await page.getByLabel("Name", { exact: true }).fill("From the browser");
await page.getByLabel("URL", { exact: true }).fill("ftp://example.com");
await page.locator("summary", { hasText: "Order" }).click();
await page.getByLabel("Skip a dead one after").fill("soon");
await press("Create", "new with problems", 422);
assert.match(await page.locator(".problem").first().textContent(), /./);
await page.getByRole("textbox", { name: "Event types" }).fill("object.*\nalert.triggered");
await page.locator("select[name=order]").selectOption("subject");
await page.getByLabel("Skip a dead one after").fill("3600");
await page.getByLabel("URL", { exact: true }).fill(target + "/browser");
await page.getByLabel(/^Headers/).fill("X-Secret: hunter2");
await press("Add slack", "new with slack");
await press("Remove channel slack", "removed");
assert.equal(await page.getByLabel("URL", { exact: true }).inputValue(), target + "/browser");
await press("Create", "created");
await notice("is created");
const subscription = new URL(page.url()).pathname.slice(new URL(base).pathname.length);

assert.match(await page.locator("main").textContent(), /one after the other.*for 1h/s);

// Operate it.
await press("Pause", "paused");
await notice("is paused");
await press("Resume");
await press("Disable", "disabled");
await notice("is disabled");
await press("Enable");
assert.ok(!(await page.content()).includes("hunter2"));
await press("Show secrets", "revealed");
assert.ok((await page.content()).includes("hunter2"));
await open(subscription, "subscription");
await press("Sign requests", "sign");
await press("Make a new secret", "signed");
await press("To the subscription");
await press("Rotate secret", "rotate");
await press("Make a new secret", "rotated");
await press("To the subscription", "rotation");
await press("End rotation");
await notice("newest signing secret");
await press("Edit", "edit");
await page.getByLabel("Name", { exact: true }).fill("Renamed in the browser");
await press("Save", "saved");
await notice("changes are saved");
await press("Send a test", "test");
await press("Load");
await press("Send", "test result");
assert.match(await page.locator("main").textContent(), /accepted.*204/s);

// Deliveries and dead letters.
await open("/deliveries", "deliveries");
await page.locator("select[name=status]").focus(); // a page that is in use is not loaded again
await page.locator("select[name=status]").selectOption("dead");
await press("Filter", "filtered deliveries");
assert.ok(page.url().includes("status=dead"));
await page.locator("tbody a.strong").first().click();
await page.waitForLoadState();
await check("delivery");
await press("Replay", "replayed");
await notice("goes out again");
await press("Cancel", "cancelled");
await notice("is cancelled");
await open("/dead", "dead letters");
await page.getByRole("checkbox", { name: /Select dlv/ }).first().check();
await press("Replay selected", "replayed selection");
await open("/dead", "dead letters");
await press("Replay all that fit", "replay all");
await page.locator("input[name=rate]").fill("nothing");
await press(/^Replay/, "replay with a problem");
await page.locator("input[name=rate]").fill("1000");
await press(/^Replay/, "replay under way");
assert.match(await page.locator("main").textContent(), /under way/);
await press("Stop", "replay stopped");
await notice("is stopped");
await open("/replays", "replays");
await open("/dead", "dead letters and replays");

// One that holds back others, until it is skipped.
await open("/subscriptions");
await press("Billing ledger", "in order");
await page.locator("tr", { hasText: "waits for its turn" }).locator("a.strong").click();
await page.waitForLoadState();
await check("waits behind another");
await page.locator("main .timeline a").click();
await page.waitForLoadState();
await check("holds back others");
await page.goto(url(new URL(page.url()).pathname.slice(new URL(base).pathname.length)));
await press("Skip", "skipped");
await notice("is skipped");
await open("/dead?holding=yes", "dead letters that hold back others");
assert.match(await page.locator("main").textContent(), /No dead letter fits/);

// API keys.
await open("/api-keys", "API keys");
await press("New API key", "new API key");
await press("Create", "API key with a problem", 422);
assert.match(await page.locator("#name-problem").textContent(), /must have 1 to 200 bytes/);
await page.getByLabel("Name", { exact: true }).fill("Of the browser");
await page.getByLabel("Role", { exact: true }).selectOption("operate");
await page.getByLabel("May see secrets").check();
await page.getByLabel("Expires (UTC)").fill("2100-01-31T18:30");
await press("Create", "API key is created");
const key = (await page.locator("pre").textContent()).trim();
assert.match(key, /^console-test-[0-9a-f]{72}$/);
await press("I have copied it", "API keys with the new one");
assert.ok(!(await page.content()).includes(key));
await press("Revoke Of the browser", "revoke an API key");
await press("Revoke", "API key is revoked");
await notice("is revoked");

// The rest.
await open("/events", "event types");
await page.locator("summary").first().click();
await press("Try a template", "template editor");
await page.locator("textarea[name=template]").fill("{{ nothing");
await press("Render", "template with a problem", 422);
await page.locator("select[name=kind]").selectOption("text");
await page.locator("textarea[name=template]").fill("It is {{ subject.id }}");
await press("Render", "rendered");
assert.match(await page.locator("pre").first().textContent(), /It is/);
await page.goto(url(subscription));
await press("Delete", "delete");
await press("Delete", "deleted");
await notice("is deleted");
assert.equal((await page.goto(url("/nowhere"))).status(), 404);
await check("not found");

// By keyboard: the first stop skips the navigation, and each stop can be seen.
await open("/subscriptions");
await page.keyboard.press("Tab");
assert.equal(await page.locator(":focus").textContent(), "Skip to content");
await page.keyboard.press("Enter");
await page.keyboard.press("Tab");
assert.equal(await page.locator(":focus").textContent(), "New subscription");

// The page is loaded again by itself.
if (scripted) {
  await page.goto(url("/"));
  await page.evaluate(() => { document.querySelector("h1").textContent = "Old"; });
  await page.locator("h1", { hasText: "Overview" }).waitFor();
}

const ignored = /status of 4(22|04)/; // the log of a form with problems, and of what is not there
const wrong = errors.filter((e) => !ignored.test(e));
for (const e of wrong) console.error(e);
await browser.close();
process.exitCode = wrong.length ? 1 : 0;
