// Takes pictures of the main pages of a console, light and dark.
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [, , base, folder] = process.argv;
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"],
});
for (const colorScheme of ["light", "dark"]) {
  for (const [width, height, suffix] of [[1280, 860, ""], [360, 780, "-phone"]]) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height } });
    const take = async (path, name) => {
      await page.goto(base + path);
      await page.screenshot({ path: `${folder}/${name}${suffix}-${colorScheme}.png`,
        fullPage: process.env.FULL === "1" });
    };
    await page.setViewportSize({ width, height: height + 210 }); // with the charts of the backlog
    await take("/", "overview");
    await page.setViewportSize({ width, height });
    await take("/subscriptions", "subscriptions");
    const row = (name) => page.locator("tbody a.strong", { hasText: name }).getAttribute("href");
    const subscription = (await row("Warehouse")).replace(/^\/console/, "");
    await take(subscription, "subscription");
    await take(subscription + "/edit", "edit");
    await take(subscription + "/test", "test");
    await take("/deliveries", "deliveries");
    await take("/dead", "dead");
    const delivery = (await page.locator("tbody a.strong").first().getAttribute("href"));
    await take(delivery.replace(/^\/console/, ""), "delivery");
    await take("/events", "events");
    await take("/templates", "templates");
    await take("/dead/replay-all", "replay");
    await take("/api-keys", "api-keys");
    await take("/api-keys/new", "new-api-key");
    await page.getByLabel("Name", { exact: true }).fill("picture");
    await page.getByRole("button", { name: "Create" }).click();
    await page.waitForLoadState();
    await page.screenshot({ path: `${folder}/created-api-key${suffix}-${colorScheme}.png` });
    await page.goto(base + "/api-keys");
    await page.getByRole("link", { name: "Revoke picture" }).first().click();
    await page.waitForLoadState();
    await page.screenshot({ path: `${folder}/revoke-api-key${suffix}-${colorScheme}.png` });
    await take("/subscriptions", "subscriptions");
    const ordered = (await row("Billing ledger")).replace(/^\/console/, "");
    await take(ordered, "ordered");
    await take(ordered + "/edit", "ordered-edit");
    await take("/dead?holding=yes", "dead-holding");
    const holding = (await page.locator("tbody a.strong").first().getAttribute("href"));
    await take(holding.replace(/^\/console/, ""), "holds");
    await page.goto(base + ordered);
    await page.locator("tr", { hasText: "waits for its turn" }).locator("a.strong").click();
    await page.waitForLoadState();
    await page.screenshot({ path: `${folder}/waits${suffix}-${colorScheme}.png` });
    await page.close();
  }
}
await browser.close();
