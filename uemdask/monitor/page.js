"use strict";
// Fetches the page anew and puts its body in place. Without this script the page renews itself.
async function renew() {
  if (document.visibilityState === "hidden") return;
  const silence = document.getElementById("silence");
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["header", "main"]) {
      document.querySelector(part).replaceWith(next.querySelector(part));
    }
    document.querySelector("main").removeAttribute("data-first");
    document.title = next.title;
    silence.hidden = true;
  } catch {
    silence.hidden = false;
  }
}
setInterval(renew, 2000);
