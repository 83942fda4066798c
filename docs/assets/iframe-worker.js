// Search from a folder, without a server: browsers start no worker from file:, so the theme's search worker runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const page = this.frame.contentWindow;
      // What a worker has and a page lacks. Messages of the worker come to the page around it.
      page.importScripts = (...scripts) => Promise.all(scripts.map((script) => load(page, script)));
      page.postMessage = (data) => {
        const message = new MessageEvent("message", { data });
        this.dispatchEvent(message);
        if (this.onmessage) this.onmessage(message);
      };
      this.isReady = load(page, address);
    }

    postMessage(data) {
      this.isReady.then(() => {
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
      });
    }

    terminate() {
      this.frame.remove();
    }
  };
}

function load(page, address) {
  return new Promise((resolve, reject) => {
    const script = page.document.createElement("script");
    script.src = new URL(address, location.href).href;
    script.onload = resolve;
    script.onerror = reject;
    page.document.body.append(script);
  });
}
