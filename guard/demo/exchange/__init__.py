"""An exchange on loopback that speaks Binance USD-M's wire format and does its own margin arithmetic."""
