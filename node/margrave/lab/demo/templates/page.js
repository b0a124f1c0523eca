// Pointing at a round anywhere shows that round everywhere. Without this script the page shows the last round.
(() => {
  const main = document.querySelector("main");
  const x = main.dataset.x.split("|").map(Number);
  const when = main.dataset.when.split("|");
  if (!main.dataset.x) return;

  const crosses = [...document.querySelectorAll(".cross")];
  const clocks = [...document.querySelectorAll(".now")];
  const readouts = [...document.querySelectorAll("[data-values]")].map((node) => ({
    node,
    values: node.dataset.values.split("|"),
    rest: node.dataset.rest ?? node.textContent,
  }));
  let shown = x.length - 1;

  function show(index) {
    shown = Math.max(0, Math.min(x.length - 1, index));
    main.classList.add("pointing");
    const left = x[shown] / 10;
    for (const cross of crosses) cross.style.left = `${left}%`;
    for (const clock of clocks) {
      clock.style.left = `${Math.max(12, Math.min(88, left))}%`;
      clock.textContent = when[shown];
    }
    for (const { node, values } of readouts) node.textContent = values[shown];
  }

  function rest() {
    main.classList.remove("pointing");
    for (const { node, rest } of readouts) node.textContent = rest;
  }

  function nearest(event, plot) {
    const box = plot.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * 1000;
    let best = 0;
    for (let i = 1; i < x.length; i++) if (x[i] <= at) best = i;
    return best;
  }

  for (const plot of document.querySelectorAll(".panel .plot")) {
    plot.addEventListener("pointermove", (event) => show(nearest(event, plot)));
    plot.addEventListener("pointerdown", (event) => show(nearest(event, plot)));
    // A finger that lifts also leaves; its round stays shown until the next touch elsewhere.
    plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && rest());
  }
  document.addEventListener("pointerdown", (event) => event.target.closest(".panel") || rest());
  for (const panel of document.querySelectorAll(".panel")) {
    panel.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show(main.classList.contains("pointing") ? shown + step : shown);
    });
    panel.addEventListener("blur", rest);
  }
})();
