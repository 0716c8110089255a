"use strict";
// Fetches the page anew and puts its parts in place. Without this script the page renews itself.
const EVERY = 2000; // ms

async function renew() {
  // Neither unseen, nor while somebody copies a message.
  if (document.visibilityState === "hidden" || !getSelection().isCollapsed) return;
  const silence = document.getElementById("silence");
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok && answer.status !== 404) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focus = document.activeElement?.getAttribute("href");
    for (const part of ["header", "main"]) {
      document.querySelector(part).replaceWith(next.querySelector(part));
    }
    document.querySelector("main").removeAttribute("data-first");
    document.title = next.title;
    if (focus) document.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
    silence.hidden = true;
  } catch {
    silence.hidden = false;
  }
}

async function follow() {
  await renew();
  setTimeout(follow, EVERY);
}

setTimeout(follow, EVERY);
