// Keeps pages up to date, and copies. Everything works without it.
"use strict";
(() => {
  const main = document.getElementById("main");
  if (!main) return;

  // Texts that are worth copying get a button.
  const decorate = () => {
    for (const pre of main.querySelectorAll("pre[data-copy]")) {
      if (!navigator.clipboard) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(pre.textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      const frame = document.createElement("div");
      frame.className = "copyable";
      pre.replaceWith(frame);
      frame.append(pre, button);
    }
    const all = main.querySelector("[data-all]");
    if (all) {
      all.hidden = false;
      all.addEventListener("change", () => {
        for (const box of main.querySelectorAll("input[name=id]")) box.checked = all.checked;
      });
    }
  };
  decorate();

  // The page is loaded again every few seconds, unless somebody is using it.
  const seconds = Number(main.dataset.live);
  if (!seconds) return;
  const inUse = () => document.hidden || main.contains(document.activeElement) ||
    main.querySelector("details[open], :checked:not(option)") || String(getSelection()) !== "";
  setInterval(async () => {
    if (inUse()) return;
    const url = new URL(location.href);
    url.searchParams.delete("done");
    const answer = await fetch(url, { redirect: "error" }).catch(() => null);
    if (!answer || !answer.ok || inUse()) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = fresh.getElementById("main");
    if (!next || inUse()) return;
    const notice = main.querySelector(".notice");
    main.replaceChildren(...(notice ? [notice] : []), ...next.childNodes);
    decorate();
  }, seconds * 1000);
})();
