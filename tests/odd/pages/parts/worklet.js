registerProcessor("odd", class extends AudioWorkletProcessor { process() { return false; } });
