//! Answers the requests of `benches/peers` with stock candle: `BertModel` of `candle-transformers` in
//! f32, pooled by mean. A batch is tokenised at once and run a text at a time, which is faster than to pad
//! it: padded to its longest, half of the mixed batch would be padding.
//!
//! One argument, the folder of `config.json`, `tokenizer.json` and `model.safetensors`. The number of
//! threads is `RAYON_NUM_THREADS`, as for every program that candle runs in.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use serde::{Deserialize, Serialize};
use tokenizers::{Tokenizer, TruncationParams};

const WINDOW_TOKENS: usize = 256;

#[derive(Serialize)]
struct Greeting {
    name: &'static str,
    kernel: &'static str,
    version: &'static str,
}

#[derive(Deserialize)]
struct Request {
    texts: Vec<String>,
    repeat: usize,
    #[serde(default)]
    vectors: bool,
}

#[derive(Serialize)]
struct Answer {
    nanoseconds: Vec<u128>,
    vectors: Option<Vec<Vec<f32>>>,
}

struct Encoder {
    model: BertModel,
    tokenizer: Tokenizer,
    device: Device,
}

impl Encoder {
    fn open(folder: &Path) -> Result<Self> {
        let device = Device::Cpu;
        let mut tokenizer =
            Tokenizer::from_file(folder.join("tokenizer.json")).map_err(|error| anyhow!(error))?;
        let truncation = TruncationParams {
            max_length: WINDOW_TOKENS,
            ..TruncationParams::default()
        };
        tokenizer
            .with_padding(None)
            .with_truncation(Some(truncation))
            .map_err(|error| anyhow!(error))?;
        let config: Config = serde_json::from_slice(&read(&folder.join("config.json"))?)?;
        let weights = read(&folder.join("model.safetensors"))?;
        let variables = VarBuilder::from_buffered_safetensors(weights, DTYPE, &device)?;
        let model = BertModel::load(variables, &config)?;
        Ok(Self {
            model,
            tokenizer,
            device,
        })
    }

    fn encode(&self, texts: &[String]) -> Result<Vec<Tensor>> {
        self.tokenizer
            .encode_batch(texts.to_vec(), true)
            .map_err(|error| anyhow!(error))?
            .iter()
            .map(|encoding| self.encode_one(encoding.get_ids()))
            .collect()
    }

    fn encode_one(&self, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::new(ids, &self.device)?.unsqueeze(0)?;
        let rows = self.model.forward(&ids, &ids.zeros_like()?, None)?;
        let mean = rows.squeeze(0)?.mean(0)?;
        Ok(mean.broadcast_div(&mean.sqr()?.sum_all()?.sqrt()?)?)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "reading the clock is the work here"
    )]
    fn answer(&self, request: &Request) -> Result<Answer> {
        let mut nanoseconds = Vec::with_capacity(request.repeat);
        let mut rows = Vec::new();
        for _ in 0..request.repeat {
            let start = Instant::now();
            rows = self.encode(&request.texts)?;
            nanoseconds.push(start.elapsed().as_nanos());
        }
        let vectors = if request.vectors {
            Some(rows.iter().map(Tensor::to_vec1).collect::<Result<_, _>>()?)
        } else {
            None
        };
        Ok(Answer {
            nanoseconds,
            vectors,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .context("the folder of the model is missing")?;
    let encoder = Encoder::open(Path::new(&folder))?;
    let mut output = io::stdout().lock();
    let greeting = Greeting {
        name: "candle",
        kernel: "candle-f32",
        version: "0.11",
    };
    writeln!(output, "{}", serde_json::to_string(&greeting)?)?;
    output.flush()?;
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        writeln!(
            output,
            "{}",
            serde_json::to_string(&encoder.answer(&request)?)?
        )?;
        output.flush()?;
    }
    Ok(())
}
